//! What device events look like: their names, fields and kinds of values, read from the schema of [`DeviceEvent`]
//! itself, so that a new event or field is known to dialects without a second list.

use std::sync::LazyLock;

use serde_json::Value;

use crate::timeline::DeviceEvent;

/// One device event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventShape {
    /// Kebab-case name.
    pub(super) name: String,
    /// Its fields.
    pub(super) fields: Vec<Field>,
}

/// One field of a device event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Kebab-case name.
    pub(super) name: String,
    /// What it holds.
    pub(super) kind: Kind,
    /// True when the event cannot be without it.
    pub(super) required: bool,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole number.
    Integer,
    /// Text.
    Text,
    /// True or false.
    Flag,
    /// One of these words.
    Choice(Vec<String>),
}

impl EventShape {
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// All device events, in the order of the type.
pub(super) fn shapes() -> &'static [EventShape] {
    static SHAPES: LazyLock<Vec<EventShape>> = LazyLock::new(|| {
        let schema = schemars::schema_for!(DeviceEvent).to_value();
        let variants = schema["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
        variants.iter().filter_map(|variant| shape_of(variant, &schema)).collect()
    });
    &SHAPES
}

/// The event of this name.
pub(super) fn shape(name: &str) -> Option<&'static EventShape> {
    shapes().iter().find(|shape| shape.name == name)
}

fn shape_of(variant: &Value, schema: &Value) -> Option<EventShape> {
    let properties = variant["properties"].as_object()?;
    let name = properties.get("event")?["const"].as_str()?.to_owned();
    let required: Vec<&str> = variant["required"].as_array()?.iter().filter_map(Value::as_str).collect();
    let fields = properties
        .iter()
        .filter(|(key, _)| *key != "event")
        .filter_map(|(key, value)| {
            Some(Field { name: key.clone(), kind: kind_of(value, schema)?, required: required.contains(&key.as_str()) })
        })
        .collect();
    Some(EventShape { name, fields })
}

fn kind_of(value: &Value, schema: &Value) -> Option<Kind> {
    if let Some(words) = choices(value) {
        return Some(Kind::Choice(words));
    }
    if let Some(reference) = value["$ref"].as_str() {
        return kind_of(schema.pointer(reference.trim_start_matches('#'))?, schema);
    }
    if let Some(alternatives) = value["anyOf"].as_array() {
        return alternatives.iter().find_map(|alternative| kind_of(alternative, schema));
    }
    let kind = match &value["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null")?,
        kind => kind.as_str()?,
    };
    match kind {
        "integer" => Some(Kind::Integer),
        "boolean" => Some(Kind::Flag),
        "string" => Some(Kind::Text),
        _ => None,
    }
}

fn choices(value: &Value) -> Option<Vec<String>> {
    if let Some(words) = value["enum"].as_array() {
        return Some(words.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    }
    let variants = value["oneOf"].as_array()?;
    variants.iter().map(|variant| variant["const"].as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_field_is_understood() {
        let kind = |event: &str, field: &str| {
            let field = shape(event).expect(event).field(field).expect(field);
            (field.kind.clone(), field.required)
        };
        assert_eq!(kind("reset", "code"), (Kind::Integer, true));
        assert_eq!(kind("reset", "download"), (Kind::Flag, false));
        assert_eq!(kind("retry-scheduled", "delay-ms"), (Kind::Integer, false));
        assert_eq!(kind("network-up", "ip"), (Kind::Text, true));
        let (Kind::Choice(words), true) = kind("image-refused", "because") else { panic!("words expected") };
        assert!(words.contains(&"security-version".to_owned()));
        assert!(shape("nothing-bootable").expect("known").fields.is_empty());
    }

    #[test]
    fn no_field_of_the_schema_is_left_out() {
        let schema = schemars::schema_for!(DeviceEvent).to_value();
        for variant in schema["oneOf"].as_array().expect("variants") {
            let properties = variant["properties"].as_object().expect("properties");
            let name = properties["event"]["const"].as_str().expect("name");
            assert_eq!(shape(name).expect(name).fields.len() + 1, properties.len(), "{name}");
        }
    }
}
