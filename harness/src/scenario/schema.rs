//! The JSON Schema of scenario files: what stands for a value of the matrix is right wherever a value may stand.

use serde_json::{Map, Value, json};

/// Name of the definition that templates match.
const NAME: &str = "MatrixTemplate";

/// Lets every property take a template of the matrix in place of its value.
pub(super) fn allow_templates(schema: &mut Value) {
    walk(schema);
    let template = json!({
        "description": "A value of the matrix.",
        "type": "string",
        "pattern": "^\\{matrix\\.[A-Za-z0-9_-]+\\}$",
    });
    if let Some(root) = schema.as_object_mut() {
        let definitions = root.entry("$defs").or_insert_with(|| Map::new().into());
        if let Some(definitions) = definitions.as_object_mut() {
            definitions.insert(NAME.to_owned(), template);
        }
    }
}

fn walk(schema: &mut Value) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(walk),
        Value::Object(object) => {
            object.values_mut().for_each(walk);
            // The keys of `properties` are names of the file's keys, and its values their schemas.
            if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
                properties.values_mut().for_each(allow);
            }
        }
        _ => {}
    }
}

/// A property's schema, or a template in its place. Texts take one as they are.
fn allow(property: &mut Value) {
    let takes_any_text = property.get("type").is_some_and(|kind| {
        kind == "string" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "string"))
    }) && property.get("pattern").is_none();
    if takes_any_text || property.is_boolean() {
        return;
    }
    // What people read of the property stays where editors look for it.
    let description = property.as_object_mut().and_then(|object| object.remove("description"));
    let mut either = json!({ "anyOf": [property.take(), { "$ref": format!("#/$defs/{NAME}") }] });
    if let Some(description) = description {
        either["description"] = description;
    }
    *property = either;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_may_be_a_template_and_text_is_left_as_it_is() {
        let mut schema = json!({
            "properties": {
                "count": { "description": "How often.", "type": "integer" },
                "name": { "type": "string" },
                "label": { "type": ["string", "null"] },
            },
        });
        allow_templates(&mut schema);
        let count = &schema["properties"]["count"];
        assert_eq!(count["description"], "How often.");
        assert_eq!(count["anyOf"], json!([{ "type": "integer" }, { "$ref": "#/$defs/MatrixTemplate" }]));
        assert_eq!(schema["properties"]["name"], json!({ "type": "string" }));
        assert_eq!(schema["properties"]["label"], json!({ "type": ["string", "null"] }));
        assert!(schema["$defs"]["MatrixTemplate"]["pattern"].is_string());
    }
}
