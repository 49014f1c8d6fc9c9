//! What a naming answers.

use crate::{Place, subject::count};

/// A name of the list that is being made, for aliases of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameId(pub(crate) u32);

/// What stands in for a name that nothing answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The name is not published.
    Nothing,
    /// CNAME to that name when nothing serves here.
    AliasOf(NameId),
    /// CNAME to that name, always.
    AlwaysAliasOf(NameId),
}

/// A name to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Name {
    /// Lower case, no final dot, inside the domain.
    pub fqdn: String,
    /// The level it stands for.
    pub place: Place,
    /// What stands in for it.
    pub fallback: Fallback,
}

impl Name {
    /// A name that is not published when nothing serves in its place.
    #[must_use]
    pub const fn new(fqdn: String, place: Place) -> Self {
        Self { fqdn, place, fallback: Fallback::Nothing }
    }

    /// An alias of another name when nothing serves in its place.
    #[must_use]
    pub const fn or_alias_of(mut self, name: NameId) -> Self {
        self.fallback = Fallback::AliasOf(name);
        self
    }

    /// An alias of another name, always.
    #[must_use]
    pub const fn alias_of(mut self, name: NameId) -> Self {
        self.fallback = Fallback::AlwaysAliasOf(name);
        self
    }
}

/// The names of a record, in an order of the policy's choice.
///
/// ```
/// use mcsdns_policy_sdk::{Name, Names, Place};
///
/// let mut names = Names::new();
/// let everywhere = names.push(Name::new("shop.example.com".to_owned(), Place::Everywhere));
/// names.push(Name::new("shop.eu.example.com".to_owned(), Place::Region(0)).or_alias_of(everywhere));
/// names.push(Name::new("www.example.com".to_owned(), Place::Everywhere).alias_of(everywhere));
/// assert_eq!(names.len(), 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(pub(crate) Vec<Name>);

impl Names {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// None yet, with room for so many.
    #[must_use]
    pub fn with_capacity(names: usize) -> Self {
        Self(Vec::with_capacity(names))
    }

    /// Adds a name.
    pub fn push(&mut self, name: Name) -> NameId {
        let id = NameId(count(self.0.len()));
        self.0.push(name);
        id
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Name> {
        self.0.iter()
    }

    /// A name of the list.
    #[must_use]
    pub fn get(&self, id: NameId) -> Option<&Name> {
        crate::subject::at(&self.0, id.0)
    }
}

impl<'a> IntoIterator for &'a Names {
    type Item = &'a Name;
    type IntoIter = std::slice::Iter<'a, Name>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
