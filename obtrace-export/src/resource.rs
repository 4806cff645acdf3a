//! What telemetry is about, by the conventions: the
//! [resource](https://opentelemetry.io/docs/specs/otel/resource/sdk/) of a process from what it knows of itself, from
//! `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`, and from what is set in code.

use std::collections::HashSet;

use crate::model::{Attribute, Resource, Text, Value};

/// The attribute that every resource must have.
const SERVICE_NAME: &str = "service.name";
/// What a service is called of which nothing is known.
const UNKNOWN: &str = "unknown_service";

/// Makes a [`Resource`]. Of two sources that name the same attribute the later in this list counts: this crate
/// (`telemetry.sdk.*`), the program's defaults, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME`, what is set in code.
/// `service.name` is `unknown_service:` and the executable's name if none of them has it.
///
/// ```
/// use obtrace_export::{model::{Attribute, Resource}, resource::Builder};
///
/// let variables = [("OTEL_RESOURCE_ATTRIBUTES", "team=web%20shop,oops"), ("OTEL_SERVICE_NAME", "cart")];
/// let detected = Builder::new()
///     .with_defaults(Resource::new(vec![Attribute::new("service.name", "shop"), Attribute::new("service.version", "1.2")]))
///     .build(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string()));
/// let get = |key| detected.resource.get(key);
/// assert_eq!(get("service.name"), Some(&"cart".into()));
/// assert_eq!(get("service.version"), Some(&"1.2".into()));
/// assert_eq!(get("team"), Some(&"web shop".into()));
/// assert!(detected.warnings[0].contains("oops"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    executable: Option<String>,
    distro: Option<(Text, Text)>,
    defaults: Resource,
    set: Resource,
}

/// What [`Builder::build`] found.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Detected {
    /// The resource.
    pub resource: Resource,
    /// What the environment says that cannot be meant, in words; it was passed over.
    pub warnings: Vec<String>,
}

impl Builder {
    /// Nothing but what this crate says of itself.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name of the executable, for a service without a name; see [`executable_name`].
    #[must_use]
    pub fn with_executable(mut self, name: Option<String>) -> Self {
        self.executable = name.filter(|name| !name.is_empty());
        self
    }

    /// Sets the distribution that the program is or comes with: `telemetry.distro.name` and `telemetry.distro.version`.
    #[must_use]
    pub fn with_distro(mut self, name: impl Into<Text>, version: impl Into<Text>) -> Self {
        self.distro = Some((name.into(), version.into()));
        self
    }

    /// Sets what the program knows of itself and the environment may overrule.
    #[must_use]
    pub fn with_defaults(mut self, resource: Resource) -> Self {
        self.defaults = resource;
        self
    }

    /// Sets what nothing overrules.
    #[must_use]
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.set = resource;
        self
    }

    /// Puts the sources together; `get` gives the value of an environment variable, as `|name| std::env::var(name).ok()` does.
    #[must_use]
    pub fn build(self, get: impl Fn(&str) -> Option<String>) -> Detected {
        let mut warnings = Vec::new();
        let mut environment =
            Resource::new(attributes(&get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default(), &mut warnings));
        if let Some(name) = get("OTEL_SERVICE_NAME").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
        {
            set(&mut environment.attributes, Attribute::new(SERVICE_NAME, name));
        }
        let mut resource = self.own();
        for source in [self.defaults, environment, self.set] {
            if let Err(conflict) = resource.merge(source) {
                warnings.push(conflict.to_string());
            }
        }
        let is_named = |value: &Value| !matches!(value, Value::Empty) && *value != Value::from("");
        if !resource.get(SERVICE_NAME).is_some_and(is_named) {
            let name = match self.executable {
                Some(executable) => Text::concat(&[UNKNOWN, ":", &executable]),
                None => UNKNOWN.into(),
            };
            set(&mut resource.attributes, Attribute::new(SERVICE_NAME, name));
        }
        Detected { resource, warnings }
    }

    /// [Telemetry SDK and distribution](https://opentelemetry.io/docs/specs/semconv/resource/#telemetry-sdk).
    fn own(&self) -> Resource {
        let mut own = vec![
            Attribute::new("telemetry.sdk.name", env!("CARGO_PKG_NAME")),
            Attribute::new("telemetry.sdk.language", "rust"),
            Attribute::new("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ];
        if let Some((name, version)) = &self.distro {
            own.push(Attribute::new("telemetry.distro.name", name.clone()));
            own.push(Attribute::new("telemetry.distro.version", version.clone()));
        }
        Resource::new(own)
    }
}

/// The name of the running executable, `process.executable.name`; `None` if the system does not tell.
#[must_use]
pub fn executable_name() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}

/// Two resources whose attributes follow different schemas were merged: the result has no schema URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attributes of the schemas {old} and {updating} were put together: the resource names no schema")]
#[non_exhaustive]
pub struct SchemaConflict {
    /// The schema URL of the resource that was updated.
    pub old: String,
    /// The schema URL of what it was updated with.
    pub updating: String,
}

impl Resource {
    /// Merges another resource into this one, by the rules of the
    /// [specification](https://opentelemetry.io/docs/specs/otel/resource/sdk/#merge): of an attribute that both have the
    /// updating one's value counts.
    ///
    /// ```
    /// use obtrace_export::model::{Attribute, Resource};
    /// let mut resource = Resource::new(vec![Attribute::new("service.name", "a")]).with_schema_url("https://a/1");
    /// resource.merge(Resource::new(vec![Attribute::new("service.name", "b"), Attribute::new("k", 1_i64)]))?;
    /// assert_eq!((resource.get("service.name"), resource.attributes.len()), (Some(&"b".into()), 2));
    /// assert_eq!(resource.schema_url, "https://a/1");
    /// # Ok::<(), obtrace_export::resource::SchemaConflict>(())
    /// ```
    ///
    /// # Errors
    /// Both have a schema URL, not the same. The attributes are merged all the same; the schema URL is empty then.
    pub fn merge(&mut self, updating: Self) -> Result<(), SchemaConflict> {
        for attribute in updating.attributes {
            set(&mut self.attributes, attribute);
        }
        self.entities.extend(updating.entities);
        self.dropped_attributes_count = self.dropped_attributes_count.saturating_add(updating.dropped_attributes_count);
        if self.schema_url.is_empty() {
            self.schema_url = updating.schema_url;
        } else if !updating.schema_url.is_empty() && updating.schema_url != self.schema_url {
            let old = std::mem::take(&mut self.schema_url);
            return Err(SchemaConflict { old: old.into(), updating: updating.schema_url.into() });
        }
        Ok(())
    }
}

fn set(attributes: &mut Vec<Attribute>, attribute: Attribute) {
    match attributes.iter_mut().find(|known| known.key == attribute.key) {
        Some(known) => known.value = attribute.value,
        None => attributes.push(attribute),
    }
}

/// What `OTEL_RESOURCE_ATTRIBUTES` says: `key=value,…`, percent-encoded where it must be; of a key that comes twice the last
/// counts. The specification would have all of it discarded for one mistake; here only the entry is, and is told.
fn attributes(list: &str, warnings: &mut Vec<String>) -> Vec<Attribute> {
    let mut found = Vec::new();
    let mut told = HashSet::new();
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let pair = entry.split_once('=').and_then(|(key, value)| Some((decoded(key.trim())?, decoded(value.trim())?)));
        match pair.filter(|(key, _)| !key.is_empty()) {
            Some((key, value)) => set(&mut found, Attribute::new(key, value)),
            None if told.insert(entry) => warnings.push(format!(
                "OTEL_RESOURCE_ATTRIBUTES: {entry:?} is not of the form key=value with what is not plain percent-encoded; it is left out"
            )),
            None => {}
        }
    }
    found
}

/// Text without percent escapes; `None` if one is broken, or what comes out is no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        out.push(match byte {
            b'%' => u8::try_from(digit(bytes.next()?)? << 4 | digit(bytes.next()?)?).ok()?,
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(builder: Builder, variables: &[(&str, &str)]) -> Detected {
        builder.build(|name| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned()))
    }

    fn of(key: &'static str, value: &'static str) -> Resource {
        Resource::new(vec![Attribute::new(key, value)])
    }

    #[test]
    fn a_service_is_named_by_the_strongest_source() {
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=listed");
        let named = ("OTEL_SERVICE_NAME", " named ");
        let executable = || Builder::new().with_executable(Some("shopd".to_owned()));
        let defaults = || executable().with_defaults(of("service.name", "default"));
        for (builder, variables, name) in [
            (Builder::new(), &[][..], "unknown_service"),
            (Builder::new().with_executable(Some(String::new())), &[], "unknown_service"),
            (executable(), &[], "unknown_service:shopd"),
            (executable(), &[("OTEL_SERVICE_NAME", ""), ("OTEL_RESOURCE_ATTRIBUTES", "")], "unknown_service:shopd"),
            (executable(), &[("OTEL_RESOURCE_ATTRIBUTES", "service.name=")], "unknown_service:shopd"),
            (defaults(), &[], "default"),
            (defaults(), &[attributes], "listed"),
            (defaults(), &[attributes, named], "named"),
            (defaults().with_resource(of("service.name", "set")), &[attributes, named], "set"),
        ] {
            let detected = detected(builder, variables);
            assert_eq!(detected.resource.get("service.name"), Some(&name.into()), "{variables:?}");
            assert_eq!(detected.warnings, [""; 0]);
        }
    }

    #[test]
    fn the_list_is_decoded_and_what_cannot_be_meant_is_told_and_left_out() {
        let list = "a=1, b = x%3Dy%2C%20z ,c=,d=%F0%9F%98%80,a=2,,=v,novalue,e=%4,f=%zz,g=%ff,novalue,k%2Fk=v=w";
        let detected = detected(Builder::new(), &[("OTEL_RESOURCE_ATTRIBUTES", list)]);
        for (key, value) in [("a", "2"), ("b", "x=y, z"), ("c", ""), ("d", "😀"), ("k/k", "v=w")] {
            assert_eq!(detected.resource.get(key), Some(&value.into()), "{key}");
        }
        let told: Vec<_> = ["\"=v\"", "\"novalue\"", "\"e=%4\"", "\"f=%zz\"", "\"g=%ff\""].to_vec();
        assert_eq!(detected.warnings.len(), told.len(), "{:?}", detected.warnings);
        for (warning, entry) in detected.warnings.iter().zip(told) {
            assert!(warning.contains(entry), "{warning}");
        }
        assert!(["e", "f", "g", "novalue"].iter().all(|key| detected.resource.get(key).is_none()));
    }

    #[test]
    fn the_schema_of_a_merged_resource() {
        for (old, updating, url, conflict) in [
            ("", "", "", false),
            ("a", "", "a", false),
            ("", "b", "b", false),
            ("a", "a", "a", false),
            ("a", "b", "", true),
        ] {
            let mut resource = of("k", "old").with_schema_url(old);
            let result = resource.merge(of("k", "new").with_schema_url(updating));
            assert_eq!((result.is_err(), &*resource.schema_url), (conflict, url), "{old} {updating}");
            assert_eq!((resource.get("k"), resource.attributes.len()), (Some(&"new".into()), 1));
        }
    }

    #[test]
    fn what_made_the_telemetry_is_told() {
        let detected = detected(Builder::new().with_distro("obtrace-zero", "9"), &[]);
        for (key, value) in [
            ("telemetry.sdk.name", "obtrace-export"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
            ("telemetry.distro.name", "obtrace-zero"),
            ("telemetry.distro.version", "9"),
        ] {
            assert_eq!(detected.resource.get(key), Some(&value.into()), "{key}");
        }
        assert!(executable_name().is_some_and(|name| name.starts_with("obtrace_export")));
    }
}
