//! The policy interface as a page to read, made from the WIT files themselves.

use std::fmt::Write as _;

use wit_parser::{
    Docs, Function, Interface, Resolve, Type, TypeDef, TypeDefKind, TypeId, TypeOwner, World, WorldItem, WorldKey,
};

/// The newest version of the interface, as it stands in `wit/`.
pub const WIT: &str = include_str!("../../../wit/v0.1.0/policy.wit");

/// The interface cannot be read. The files are part of this program and tests read them, so this is a bug.
#[derive(Debug, thiserror::Error)]
#[error("the policy interface cannot be read: {0}; please report this")]
pub struct InterfaceError(String);

impl InterfaceError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        "InterfaceUnreadable"
    }
}

/// The interface in Markdown.
///
/// # Errors
/// When the WIT text cannot be read.
pub fn markdown() -> Result<String, InterfaceError> {
    let mut resolve = Resolve::default();
    let id = resolve.push_str("policy.wit", WIT).map_err(|error| InterfaceError(format!("{error:#}")))?;
    let package = resolve.packages.get(id).ok_or_else(|| InterfaceError("it has no package".to_owned()))?;
    let mut page = Page { resolve: &resolve, text: String::new() };
    page.line("# The policy interface");
    page.line("");
    page.line(&format!(
        "Package `{}`, made from `wit/` by `mcsdns policy interface`; do not edit it here. [policies.md](policies.md) is the guide.",
        package.name
    ));
    page.line("");
    page.line(
        "A policy is a WebAssembly component that exports `lifecycle` and at least one of `naming`, `selection` and `ttl`. \
         It may import `log` and nothing else.",
    );
    page.line("");
    page.line("## Worlds");
    page.line("");
    page.line("| world | imports | exports |");
    page.line("|---|---|---|");
    for world in package.worlds.values().filter_map(|id| resolve.worlds.get(*id)) {
        page.world(world);
    }
    for interface in package.interfaces.values().filter_map(|id| resolve.interfaces.get(*id)) {
        page.interface(interface);
    }
    Ok(page.text)
}

struct Page<'a> {
    resolve: &'a Resolve,
    text: String,
}

impl Page<'_> {
    fn line(&mut self, line: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    fn docs(&mut self, docs: &Docs) {
        if let Some(text) = &docs.contents {
            self.line("");
            text.lines().for_each(|line| self.line(line));
        }
    }

    fn world(&mut self, world: &World) {
        let list = |items: &wit_parser::IndexMap<WorldKey, WorldItem>| {
            let names: Vec<String> = items
                .iter()
                .filter_map(|(key, item)| self.interface_name(key, item))
                .map(|name| format!("[{name}](#{name})"))
                .collect();
            names.join(", ")
        };
        let row = format!("| `{}` | {} | {} |", world.name, list(&world.imports), list(&world.exports));
        self.line(&row);
    }

    /// The interface of an item of a world; `types` has no functions, so that everybody has it without asking.
    fn interface_name(&self, key: &WorldKey, item: &WorldItem) -> Option<String> {
        let name = match (key, item) {
            (_, WorldItem::Interface { id, .. }) => self.resolve.interfaces.get(*id)?.name.clone()?,
            (WorldKey::Name(name), _) => name.clone(),
            (WorldKey::Interface(_), _) => return None,
        };
        (name != "types").then_some(name)
    }

    fn interface(&mut self, interface: &Interface) {
        let name = interface.name.as_deref().unwrap_or_default();
        self.line(&format!("\n## {name}"));
        self.docs(&interface.docs);
        for function in interface.functions.values() {
            self.function(function);
        }
        for (name, id) in &interface.types {
            if let Some(ty) = self.resolve.types.get(*id)
                && !is_use(ty)
            {
                self.type_def(name, ty);
            }
        }
    }

    fn function(&mut self, function: &Function) {
        self.line(&format!("\n### {}", function.name));
        self.docs(&function.docs);
        let parameters: Vec<String> =
            function.params.iter().map(|param| format!("{}: {}", param.name, self.name(&param.ty))).collect();
        let result = function.result.map_or_else(String::new, |result| format!(" -> {}", self.name(&result)));
        self.line(&format!("\n```wit\n{}: func({}){result}\n```", function.name, parameters.join(", ")));
    }

    fn type_def(&mut self, name: &str, ty: &TypeDef) {
        let kind = match &ty.kind {
            TypeDefKind::Type(other) => format!("type = {}", self.name(other)),
            TypeDefKind::Tuple(_) | TypeDefKind::List(_) | TypeDefKind::Option(_) => {
                format!("type = {}", self.kind(&ty.kind))
            }
            kind => kind.as_str().to_owned(),
        };
        self.line(&format!("\n### {name}\n\n`{kind}`"));
        self.docs(&ty.docs);
        let rows: Vec<(String, String, Option<String>)> = match &ty.kind {
            TypeDefKind::Record(record) => record
                .fields
                .iter()
                .map(|field| (field.name.clone(), self.name(&field.ty), field.docs.contents.clone()))
                .collect(),
            TypeDefKind::Variant(variant) => variant
                .cases
                .iter()
                .map(|case| {
                    let ty = case.ty.map_or_else(String::new, |ty| self.name(&ty));
                    (case.name.clone(), ty, case.docs.contents.clone())
                })
                .collect(),
            TypeDefKind::Enum(cases) => {
                cases.cases.iter().map(|case| (case.name.clone(), String::new(), case.docs.contents.clone())).collect()
            }
            _ => Vec::new(),
        };
        if rows.is_empty() {
            return;
        }
        self.line("\n| name | type | |\n|---|---|---|");
        for (name, ty, docs) in rows {
            let ty = if ty.is_empty() { ty } else { format!("`{ty}`") };
            let docs = docs.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
            self.line(&format!("| `{name}` | {ty} | {docs} |"));
        }
    }

    fn name(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "bool".to_owned(),
            Type::U8 => "u8".to_owned(),
            Type::U16 => "u16".to_owned(),
            Type::U32 => "u32".to_owned(),
            Type::U64 => "u64".to_owned(),
            Type::S8 => "s8".to_owned(),
            Type::S16 => "s16".to_owned(),
            Type::S32 => "s32".to_owned(),
            Type::S64 => "s64".to_owned(),
            Type::F32 => "f32".to_owned(),
            Type::F64 => "f64".to_owned(),
            Type::Char => "char".to_owned(),
            Type::String => "string".to_owned(),
            Type::ErrorContext => "error-context".to_owned(),
            Type::Id(id) => self.named(*id),
        }
    }

    fn named(&self, id: TypeId) -> String {
        match self.resolve.types.get(id) {
            Some(TypeDef { name: Some(name), .. }) => name.clone(),
            Some(ty) => self.kind(&ty.kind),
            None => "?".to_owned(),
        }
    }

    fn kind(&self, kind: &TypeDefKind) -> String {
        match kind {
            TypeDefKind::List(item) => format!("list<{}>", self.name(item)),
            TypeDefKind::Option(item) => format!("option<{}>", self.name(item)),
            TypeDefKind::Tuple(tuple) => {
                let items: Vec<String> = tuple.types.iter().map(|ty| self.name(ty)).collect();
                format!("tuple<{}>", items.join(", "))
            }
            TypeDefKind::Result(result) => {
                let ok = result.ok.map_or_else(|| "_".to_owned(), |ty| self.name(&ty));
                match result.err {
                    Some(error) => format!("result<{ok}, {}>", self.name(&error)),
                    None => format!("result<{ok}>"),
                }
            }
            TypeDefKind::Type(ty) => self.name(ty),
            other => other.as_str().to_owned(),
        }
    }
}

/// Whether a type only stands for one of another interface (`use types.{...}`).
fn is_use(ty: &TypeDef) -> bool {
    matches!((&ty.kind, ty.owner), (TypeDefKind::Type(Type::Id(_)), TypeOwner::Interface(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Write it anew with `mcsdns policy interface > docs/policy-interface.md`.
    #[test]
    fn the_page_in_docs_is_fresh() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/policy-interface.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == markdown().unwrap(), "run `mcsdns policy interface > docs/policy-interface.md`");
    }

    #[test]
    fn everything_of_the_interface_is_there() {
        let page = markdown().unwrap();
        for part in [
            "## selection",
            "select: func(subject: subject, places: places, fleet: fleet",
            "| `alias-of` | `u32` | CNAME to that name when nothing serves here. |",
            "`type = tuple<u8, u8, u8, u8>`",
            "-> result<_, string>",
            "| `naming-policy` | [log](#log) | [lifecycle](#lifecycle), [naming](#naming) |",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
    }
}
