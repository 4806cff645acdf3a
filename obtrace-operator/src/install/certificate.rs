//! The webhook's certificate from [cert-manager](https://cert-manager.io/docs/usage/certificate/).

use serde_json::{Value, json};

use super::labels;
use crate::{
    certificates::{self, cert_manager},
    index::SYSTEM_NAMESPACE,
};

/// What cert-manager is asked for.
pub(super) fn objects() -> Vec<Value> {
    let mut objects = cert_manager::objects(&certificates::Options::new(SYSTEM_NAMESPACE));
    for object in &mut objects {
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            metadata.insert("labels".into(), labels());
        }
    }
    objects
}

/// What has cert-manager write its CA into the webhook's configuration.
pub(super) fn annotations() -> Value {
    let (name, value) = cert_manager::annotation(&certificates::Options::new(SYSTEM_NAMESPACE));
    json!({ name: value })
}
