//! Reading without failing: a field of the wrong type is remembered as such and the rest of the object is still read.
//!
//! `serde` gives up on the first wrong field, which would turn one bad object into a dead watch. Buffering whole objects
//! to try twice costs more than reading them (an EndpointSlice is mostly what we do not need). So every field that
//! matters is a [`Field`], which accepts any JSON, and everything else is skipped as it streams by.

use std::{collections::BTreeMap, fmt, marker::PhantomData, sync::Arc};

use mcsdns_core::facts::Malformed;
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// A field as found in an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Not there, or null, which Kubernetes treats alike.
    #[default]
    Absent,
    /// As it should be.
    Is(T),
    /// Of another type; what was found, for people.
    Not(&'static str),
}

impl<T: Shape> Field<T> {
    /// The content, if any.
    ///
    /// # Errors
    /// When the field has another type; `path` names it.
    pub fn get(&self, path: &str) -> Result<Option<&T>, Malformed> {
        match self {
            Self::Absent => Ok(None),
            Self::Is(value) => Ok(Some(value)),
            Self::Not(found) => Err(malformed(format!("{path}: expected {}, found {found}", T::WANTED))),
        }
    }
}

impl<T> Field<T> {
    /// The content where it is good; for places where a bad field has no say.
    #[must_use]
    pub const fn good(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Not(_) => None,
        }
    }
}

impl Field<i64> {
    /// The number, 0 when there is none or it is no count.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.number()).unwrap_or_default()
    }

    /// The number, 0 when there is none.
    #[must_use]
    pub fn number(&self) -> i64 {
        self.good().copied().unwrap_or_default()
    }
}

/// A list of objects.
pub(crate) type List<T> = Field<Vec<Field<Object<T>>>>;

impl<T> List<T> {
    /// The objects of the list that are good.
    pub(crate) fn each(&self) -> impl Iterator<Item = &T> {
        self.good().into_iter().flatten().filter_map(Field::good).map(|object| &object.0)
    }
}

impl Field<String> {
    /// The text, `None` also when empty: clients written in Go leave empty texts where nothing is meant.
    ///
    /// # Errors
    /// When the field has another type.
    pub fn text(&self, path: &str) -> Result<Option<Arc<str>>, Malformed> {
        Ok(self.get(path)?.filter(|text| !text.is_empty()).map(|text| text.as_str().into()))
    }

    /// As [`Self::text`], with a bad field as `None`.
    #[must_use]
    pub fn good_text(&self) -> Option<Arc<str>> {
        self.text("").ok().flatten()
    }
}

/// Shorthand.
pub(crate) fn malformed(message: impl Into<String>) -> Malformed {
    Malformed { message: message.into() }
}

/// What a [`Field`] can hold. Each method tells what a JSON value of that type means; `None`: it does not fit.
pub trait Shape: Sized {
    /// What is expected, for people, with its article.
    const WANTED: &'static str;
    /// From a text.
    fn from_text(_: &str) -> Option<Self> {
        None
    }
    /// From `true` or `false`.
    fn from_bool(_: bool) -> Option<Self> {
        None
    }
    /// From a whole number.
    fn from_integer(_: i64) -> Option<Self> {
        None
    }
    /// From a list.
    ///
    /// # Errors
    /// Only those of the source, such as the end of the text.
    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    /// From an object.
    ///
    /// # Errors
    /// Only those of the source, such as the end of the text.
    fn from_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl Shape for String {
    const WANTED: &'static str = "a text";
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Shape for bool {
    const WANTED: &'static str = "true or false";
    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl Shape for i64 {
    const WANTED: &'static str = "a whole number";
    fn from_integer(value: i64) -> Option<Self> {
        Some(value)
    }
}

/// For fields of which only the presence matters: anything that is not [`Field::Absent`] is there.
impl Shape for () {
    const WANTED: &'static str = "nothing";
}

impl<T: Shape> Shape for Vec<Field<T>> {
    const WANTED: &'static str = "a list";
    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut all = Self::new();
        while let Some(element) = list.next_element()? {
            all.push(element);
        }
        Ok(Some(all))
    }
}

impl<T: Shape> Shape for BTreeMap<String, Field<T>> {
    const WANTED: &'static str = "an object";
    fn from_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut all = Self::new();
        while let Some((key, value)) = object.next_entry()? {
            all.insert(key, value);
        }
        Ok(Some(all))
    }
}

/// An object with known fields, which are [`Field`]s themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<T: for<'de> Deserialize<'de>> Shape for Object<T> {
    const WANTED: &'static str = "an object";
    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(|value| Some(Self(value)))
    }
}

impl<'de, T: Shape> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

fn found<T>(value: Option<T>, what: &'static str) -> Field<T> {
    value.map_or(Field::Not(what), Field::Is)
}

impl<'de, T: Shape> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WANTED)
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Field::Absent)
    }
    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Field::Absent)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(found(T::from_bool(value), "true or false"))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(found(T::from_integer(value), "a number"))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        let value = i64::try_from(value).ok().and_then(T::from_integer);
        Ok(found(value, "a number"))
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Field::Not("a fraction"))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(found(T::from_text(value), "a text"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Ok(found(T::from_list(list)?, "a list"))
    }
    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        Ok(found(T::from_object(object)?, "an object"))
    }
}

/// The texts of a list, with what is wrong with it.
///
/// # Errors
/// When the field is not a list of texts.
pub(crate) fn texts(field: &Field<Vec<Field<String>>>, path: &str) -> Result<Option<Vec<Arc<str>>>, Malformed> {
    let Some(list) = field.get(path)? else {
        return Ok(None);
    };
    let mut all = Vec::with_capacity(list.len());
    for (position, item) in list.iter().enumerate() {
        all.extend(item.text(&format!("{path}[{position}]"))?);
    }
    Ok(Some(all))
}

/// The texts of a list that are good.
pub(crate) fn good_texts(field: &Field<Vec<Field<String>>>) -> Vec<Arc<str>> {
    field.good().map(|list| list.iter().filter_map(Field::good_text).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T: Shape>(value: serde_json::Value) -> Field<T> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_fits_is_kept_and_what_does_not_is_named() {
        assert_eq!(read::<i64>(json!(5)), Field::Is(5));
        assert_eq!(read::<i64>(json!(null)), Field::Absent);
        assert_eq!(read::<i64>(json!(u64::MAX)), Field::Not("a number"));
        assert_eq!(read::<i64>(json!(1.5)), Field::Not("a fraction"));
        assert_eq!(read::<String>(json!([1, {"a": 2}])), Field::Not("a list"));
        assert_eq!(read::<bool>(json!({"a": [1]})), Field::Not("an object"));
        let error = read::<i64>(json!("x")).get("spec.recordTTL").unwrap_err();
        assert_eq!(error.message, "spec.recordTTL: expected a whole number, found a text");
    }

    #[test]
    fn a_bad_element_does_not_end_the_list() {
        let list = read::<Vec<Field<i64>>>(json!([1, "x", null, 4]));
        assert_eq!(list, Field::Is(vec![Field::Is(1), Field::Not("a text"), Field::Absent, Field::Is(4)]));
    }
}
