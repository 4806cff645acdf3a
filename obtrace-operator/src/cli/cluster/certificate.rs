//! The webhook's certificate as the cluster has it.

use k8s_openapi::{
    api::{admissionregistration::v1::MutatingWebhookConfiguration, core::v1::Secret},
    jiff::Timestamp,
};
use kube::Api;
use x509_parser::{
    extensions::GeneralName,
    pem::Pem,
    prelude::{FromDer, X509Certificate},
};

use crate::{
    index::SYSTEM_NAMESPACE,
    install::{CERTIFICATE_SECRET, Cluster, SERVICE, WEBHOOK, said},
};

/// What is in the Secret.
pub(super) struct Certificate {
    /// When it ends.
    pub(super) not_after: Timestamp,
}

impl Certificate {
    /// Days until it ends; negative if it has.
    pub(super) fn days_left(&self) -> i64 {
        (self.not_after.as_second() - Timestamp::now().as_second()).div_euclid(86_400)
    }
}

/// Reads the certificate and checks it against its purpose and against the CA that the API server is told.
///
/// # Errors
///
/// What is wrong with it, and what to do.
pub(super) async fn of(cluster: &Cluster) -> Result<Certificate, String> {
    let client = cluster.client().clone();
    let secret = Api::<Secret>::namespaced(client.clone(), SYSTEM_NAMESPACE).get_opt(CERTIFICATE_SECRET).await;
    let secret = secret.map_err(|error| format!("cannot read the Secret {CERTIFICATE_SECRET}: {}", said(&error)))?;
    let data = secret.and_then(|secret| secret.data).ok_or(format!(
        "there is no Secret {SYSTEM_NAMESPACE}/{CERTIFICATE_SECRET}: the operator (or cert-manager) has not made it; look at its logs"
    ))?;
    let pem = data
        .get("tls.crt")
        .ok_or(format!("the Secret {CERTIFICATE_SECRET} has no tls.crt: delete it, it is made anew"))?;
    let configuration = Api::<MutatingWebhookConfiguration>::all(client).get_opt(WEBHOOK).await;
    let configuration =
        configuration.map_err(|error| format!("cannot read the MutatingWebhookConfiguration: {}", said(&error)))?;
    let webhooks = configuration.and_then(|it| it.webhooks).unwrap_or_default();
    let bundle = webhooks.into_iter().next().and_then(|it| it.client_config.ca_bundle).unwrap_or_default();
    check(&pem.0, &bundle.0, Timestamp::now().as_second())
}

/// Checks a certificate against a bundle of CAs, at a time in seconds since 1970.
fn check(pem: &[u8], bundle: &[u8], now: i64) -> Result<Certificate, String> {
    let unreadable =
        || format!("tls.crt of the Secret {CERTIFICATE_SECRET} is no certificate: delete the Secret, it is made anew");
    let leaf = Pem::iter_from_buffer(pem).next().and_then(Result::ok).ok_or_else(unreadable)?;
    let (_, leaf) = X509Certificate::from_der(&leaf.contents).map_err(|_| unreadable())?;
    let name = format!("{SERVICE}.{SYSTEM_NAMESPACE}.svc");
    let names = leaf.subject_alternative_name().ok().flatten();
    let is_for = names.is_some_and(|names| {
        names.value.general_names.iter().any(|it| matches!(it, GeneralName::DNSName(dns) if *dns == name))
    });
    if !is_for {
        return Err(format!(
            "the certificate is not for {name}: delete the Secret {CERTIFICATE_SECRET}, it is made anew"
        ));
    }
    let ends = leaf.validity().not_after.timestamp();
    if ends <= now {
        return Err(format!("the certificate has ended: delete the Secret {CERTIFICATE_SECRET}, it is made anew"));
    }
    if leaf.validity().not_before.timestamp() > now {
        return Err("the certificate is not valid yet: the clocks of this machine and of the cluster differ".to_owned());
    }
    let issued = Pem::iter_from_buffer(bundle)
        .filter_map(Result::ok)
        .any(|ca| X509Certificate::from_der(&ca.contents).is_ok_and(|(_, ca)| ca.subject() == leaf.issuer()));
    if !issued {
        return Err(format!(
            "the CA of the MutatingWebhookConfiguration {WEBHOOK} did not issue the certificate: restart the operator, which writes it again"
        ));
    }
    let not_after = Timestamp::from_second(ends).map_err(|_| unreadable())?;
    Ok(Certificate { not_after })
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    /// A CA of this name, and a certificate of it for these hosts: both as PEM.
    fn made(ca: &str, hosts: &[&str]) -> (String, String) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, ca);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let names: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        (authority.pem(), leaf.pem())
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said() {
        let now = Timestamp::now().as_second();
        let host = "obtrace-zero-webhook.obtrace-system.svc";
        let (ca, leaf) = made("one", &[host]);
        assert!(check(leaf.as_bytes(), ca.as_bytes(), now).is_ok());
        let said = |leaf: &str, ca: &str, now| check(leaf.as_bytes(), ca.as_bytes(), now).err().unwrap_or_default();
        let (other, _) = made("two", &[host]);
        assert!(said(&leaf, &other, now).contains("did not issue"));
        assert!(check(leaf.as_bytes(), format!("{other}{ca}").as_bytes(), now).is_ok(), "a bundle while rotating");
        let (ca, elsewhere) = made("one", &["elsewhere"]);
        assert!(said(&elsewhere, &ca, now).contains("is not for"));
        assert!(said(&leaf, &ca, i64::MAX).contains("has ended"));
        assert!(said("nonsense", &ca, now).contains("is no certificate"));
    }
}
