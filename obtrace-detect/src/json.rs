//! Verdicts as serde writes them.

use alloc::string::String;
use core::fmt::Write as _;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{Confidence, Detection, Framework, Language, Reason, Runtime, Strategy};

macro_rules! by_name {
    ($($name:ty)*) => {
        $(impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        })*
    };
}

by_name! { Language Runtime Framework Strategy }

impl Serialize for Confidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

/// As text, as [`Display`](core::fmt::Display) has it.
impl Serialize for Reason<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        write!(text, "{self}").map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl Serialize for Detection<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Detection", 6)?;
        fields.serialize_field("language", &self.language)?;
        fields.serialize_field("runtime", &self.runtime)?;
        fields.serialize_field("framework", &self.framework)?;
        fields.serialize_field("strategy", &self.strategy)?;
        fields.serialize_field("confidence", &self.confidence)?;
        fields.serialize_field("evidence", &self.evidence)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Evidence, detect};

    #[test]
    fn a_verdict_is_an_object() {
        let command = ["php".into(), "artisan".into(), "serve".into()];
        let json = serde_json::to_string(&detect(&Evidence::new().with_command(&command))).unwrap();
        let expected = concat!(
            r#"{"language":"php","runtime":"php","framework":"laravel","strategy":"sdk","confidence":0.9,"#,
            r#""evidence":["command: \"php\" is a program of PHP"]}"#
        );
        assert_eq!(json, expected);
        let json = serde_json::to_string(&detect(&Evidence::new())).unwrap();
        assert!(json.contains(r#""framework":null"#) && json.contains(r#""confidence":0.3"#), "{json}");
    }
}
