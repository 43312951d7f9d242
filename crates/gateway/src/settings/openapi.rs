//! The table of settings as JSON schemas, for the OpenAPI document.

use std::borrow::Cow;

use serde_json::json;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::fields::{Field, Kind};
use super::table::FIELDS;

/// All settings with their values.
pub(crate) struct SettingsValues;

/// Settings to change; `null` gives one its default.
pub(crate) struct SettingsPatch;

impl PartialSchema for SettingsValues {
    fn schema() -> RefOr<Schema> {
        let object = FIELDS.iter().fold(ObjectBuilder::new(), |object, field| {
            object.property(field.name, of_field(field, false)).required(field.name)
        });
        object.description(Some("All settings with their values; secrets are masked.")).into()
    }
}

impl ToSchema for SettingsValues {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("SettingsValues")
    }
}

impl PartialSchema for SettingsPatch {
    fn schema() -> RefOr<Schema> {
        let object = FIELDS
            .iter()
            .fold(ObjectBuilder::new(), |object, field| object.property(field.name, of_field(field, true)));
        let object = object.additional_properties(Some(AdditionalProperties::FreeForm(false)));
        object.description(Some("Settings to change; `null` gives one its default.")).into()
    }
}

impl ToSchema for SettingsPatch {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("SettingsPatch")
    }
}

fn of_field(field: &Field, nullable: bool) -> Schema {
    let kind = |kind: Type| if nullable { SchemaType::from_iter([kind, Type::Null]) } else { SchemaType::Type(kind) };
    let object = ObjectBuilder::new().description(Some(field.en));
    match field.kind {
        Kind::Flag => object.schema_type(kind(Type::Boolean)).into(),
        Kind::Number { min, max, .. } => {
            #[expect(clippy::cast_precision_loss, reason = "limits are small")]
            let (min, max) = (min as f64, max as f64);
            object.schema_type(kind(Type::Integer)).minimum(Some(min)).maximum(Some(max)).into()
        }
        Kind::Choice(choices) => {
            let mut values: Vec<serde_json::Value> = choices.iter().map(|choice| json!(choice)).collect();
            if nullable {
                values.push(serde_json::Value::Null);
            }
            object.schema_type(kind(Type::String)).enum_values(Some(values)).into()
        }
        Kind::Text(_) => object.schema_type(kind(Type::String)).into(),
        Kind::List(_) => ArrayBuilder::new()
            .description(Some(field.en))
            .schema_type(kind(Type::Array))
            .items(ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)))
            .into(),
    }
}
