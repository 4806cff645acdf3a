//! The webhook's certificate from [cert-manager](https://cert-manager.io/docs/usage/certificate/).

use serde_json::{Value, json};

use super::{CERTIFICATE_SECRET, SERVICE, of_system};
use crate::index::SYSTEM_NAMESPACE;

/// An Issuer of a CA, that CA, its Issuer, and the certificate. With a CA of its own the bundle stays the same when the certificate is renewed.
pub(super) fn cert_manager() -> [Value; 4] {
    const CA: &str = "obtrace-zero-ca";
    const SELF_SIGNED: &str = "obtrace-zero-self-signed";
    const API: &str = "cert-manager.io/v1";
    let key = json!({ "algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always" });
    let issuer = |name: &str| json!({ "group": "cert-manager.io", "kind": "Issuer", "name": name });
    let names: Vec<_> =
        ["", ".cluster.local"].iter().map(|tail| format!("{SERVICE}.{SYSTEM_NAMESPACE}.svc{tail}")).collect();
    [
        of_system(API, "Issuer", SELF_SIGNED, json!({ "spec": { "selfSigned": {} } })),
        of_system(
            API,
            "Certificate",
            CA,
            json!({ "spec": {
                "commonName": CA,
                "duration": "8760h0m0s",
                "isCA": true,
                "issuerRef": issuer(SELF_SIGNED),
                "privateKey": key,
                "secretName": CA,
            } }),
        ),
        of_system(API, "Issuer", CA, json!({ "spec": { "ca": { "secretName": CA } } })),
        of_system(
            API,
            "Certificate",
            CERTIFICATE_SECRET,
            json!({ "spec": {
                "dnsNames": names,
                "duration": "2160h0m0s",
                "issuerRef": issuer(CA),
                "privateKey": key,
                "secretName": CERTIFICATE_SECRET,
                "usages": ["digital signature", "server auth"],
            } }),
        ),
    ]
}
