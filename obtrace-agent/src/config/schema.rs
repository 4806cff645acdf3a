//! What may stand in a configuration file, for editors.

use serde_json::{Value as Json, json};

use super::{Config, Kind, OPTIONS, Opt};

impl Config {
    /// The JSON Schema of the configuration file.
    #[must_use]
    pub fn schema() -> Json {
        let mut properties = serde_json::Map::new();
        for option in OPTIONS {
            let mut leaf = json!({ "description": option.help });
            let shape = match option.kind {
                Kind::Integer(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
                Kind::Switch => json!({ "type": "boolean" }),
                Kind::Choice(words) => json!({ "enum": words }),
                Kind::List => {
                    json!({ "type": ["array", "string", "integer"], "items": { "type": ["string", "integer"] } })
                }
                Kind::Ports => {
                    json!({ "type": ["array", "string", "integer"], "items": { "type": ["string", "integer"] } })
                }
                Kind::Bytes => json!({ "type": ["integer", "string"], "pattern": "^[0-9]+ ?([KMG]i?B?|B)?$" }),
                Kind::Duration => json!({ "type": "string", "pattern": r"^([0-9.]+ ?(ms|s|m|h)|0)$" }),
                Kind::Numbers => json!({ "type": ["array", "string"], "items": { "type": "number" } }),
                Kind::Address => json!({ "type": ["integer", "string"] }),
                Kind::Text | Kind::Url | Kind::Secret => json!({ "type": "string" }),
            };
            if let (Json::Object(leaf), Json::Object(shape)) = (&mut leaf, shape) {
                leaf.extend(shape);
                if !option.default.is_empty() {
                    leaf.insert("default".to_owned(), of_default(option));
                }
                leaf.insert("x-environment".to_owned(), json!(option.variable()));
            }
            let mut into = &mut properties;
            let mut parts = option.key.split('.').peekable();
            while let Some(part) = parts.next() {
                if parts.peek().is_none() {
                    into.insert(part.to_owned(), std::mem::take(&mut leaf));
                    break;
                }
                let group = into
                    .entry(part)
                    .or_insert_with(|| json!({ "type": "object", "additionalProperties": false, "properties": {} }));
                let Some(Json::Object(inner)) = group.get_mut("properties") else { break };
                into = inner;
            }
        }
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "obtrace-agent",
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
        })
    }
}

fn of_default(option: &Opt) -> Json {
    match option.kind {
        Kind::Integer(..) => option.default.parse::<u64>().map_or(Json::Null, Json::from),
        Kind::Switch => json!(option.default == "true"),
        _ => json!(option.default),
    }
}
