//! cert-manager, where it is there: what it is asked for. It writes the Secret and the bundle; the operator serves what the Secret holds.

use kube::Client;
use serde_json::{Value, json};

use super::{Options, published::INJECT};

/// The API that the objects are of.
pub const API_VERSION: &str = "cert-manager.io/v1";

const SELF_SIGNED: &str = "obtrace-zero-self-signed";
const CA: &str = "obtrace-zero-webhook-ca";

/// Whether the cluster has cert-manager's API.
///
/// # Errors
///
/// The API server did not answer, or not with what it serves.
pub async fn is_installed(client: &Client) -> Result<bool, kube::Error> {
    match client.list_api_group_resources(API_VERSION).await {
        Ok(list) => Ok(["Certificate", "Issuer"].iter().all(|kind| list.resources.iter().any(|it| it.kind == *kind))),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// What cert-manager is asked for, in the order to apply: a CA of its own for the webhook, and the serving certificate by it.
///
/// The CA keeps its key when it is renewed, so that certificates of before and after verify under either bundle: cert-manager itself
/// puts a new one into place without an overlap. A certificate that is its own CA would fail there, for a moment, each time.
#[must_use]
pub fn objects(options: &Options) -> Vec<Value> {
    let Options { namespace, secret, .. } = options;
    let object = |kind: &str, name: &str, spec: Value| json!({ "apiVersion": API_VERSION, "kind": kind, "metadata": { "name": name, "namespace": namespace }, "spec": spec });
    let key = |rotation: &str| json!({ "algorithm": "ECDSA", "size": 256, "rotationPolicy": rotation });
    let issuer = |name: &str| json!({ "name": name, "kind": "Issuer", "group": "cert-manager.io" });
    let life = |life: super::Life| (format!("{}s", life.valid.as_secs()), format!("{}s", life.reserve().as_secs()));
    let ((ca, ca_before), (serving, serving_before)) = (life(options.ca), life(options.serving));
    vec![
        object("Issuer", SELF_SIGNED, json!({ "selfSigned": {} })),
        object(
            "Certificate",
            CA,
            json!({
                "isCA": true, "commonName": CA, "secretName": CA, "duration": ca, "renewBefore": ca_before,
                "privateKey": key("Never"), "issuerRef": issuer(SELF_SIGNED),
            }),
        ),
        object("Issuer", CA, json!({ "ca": { "secretName": CA } })),
        object(
            "Certificate",
            &options.service,
            json!({
                "secretName": secret, "dnsNames": options.names(), "duration": serving, "renewBefore": serving_before,
                "usages": ["digital signature", "server auth"], "privateKey": key("Always"), "issuerRef": issuer(CA),
            }),
        ),
    ]
}

/// The annotation of the MutatingWebhookConfiguration that has cert-manager write its bundles.
#[must_use]
pub fn annotation(options: &Options) -> (String, String) {
    (INJECT.to_owned(), format!("{}/{}", options.namespace, options.service))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cert_manager_is_asked_for_the_same_secret_names_and_lives() {
        let options = Options::new("elsewhere");
        let all = objects(&options);
        let spec = &all.last().unwrap()["spec"];
        assert_eq!(spec["secretName"], options.secret);
        assert_eq!(spec["dnsNames"], json!(options.names()));
        assert_eq!((&spec["duration"], &spec["renewBefore"]), (&json!("2592000s"), &json!("864000s")));
        assert!(all.iter().all(|object| object["metadata"]["namespace"] == "elsewhere"));
        // The annotation names the Certificate whose Secret has the bundle.
        let (_, source) = annotation(&options);
        assert_eq!(source, format!("elsewhere/{}", all.last().unwrap()["metadata"]["name"].as_str().unwrap()));
    }
}
