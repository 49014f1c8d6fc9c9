//! The versions of the interface that this host runs, one module each.
//!
//! A frozen folder under `wit/` is a module here, for ever. What a version does not know is converted where it is
//! called; nothing outside this module knows which version a policy was made for.

mod v0_1_0;

use mcsdns_core::decision::{Decision, DecisionInput, Name, Needs, Outcome};
use wasmtime::{
    Engine, Store,
    component::{
        Component, Instance, InstancePre, Linker,
        types::{ComponentInstance, ComponentItem},
    },
};

use crate::{
    error::{Aspect, LoadError},
    policy::Description,
    state::State,
};

/// The package every interface for policies belongs to.
const PACKAGE: &str = "mcsdns:policy/";

/// The only function there is to import.
pub(crate) const LOG: &str = "log: func(level: level, message: string)";

/// The versions there are, for messages.
pub const SUPPORTED: &str = "0.1.x";

/// How a policy says that it will not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) field: String,
    pub(crate) message: String,
}

/// An answer or a refusal; the outer error is a call that failed.
pub(crate) type Answered<T> = wasmtime::Result<Result<T, Refusal>>;

/// What a policy needs, and which of the labels that the host collected for all policies are its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) needs: Needs,
    /// Its selection is told the names themselves.
    pub(crate) fqdns: bool,
    /// By index into the labels collected for all: index into those of this policy.
    pub(crate) label_keys: Vec<Option<u32>>,
}

/// One component seen through one version of the interface.
pub(crate) trait World: Send + Sync {
    /// The aspects it exports.
    fn exported(&self) -> &[Aspect];

    /// Compares the types of all exports with the interface.
    fn typecheck(&self, store: &mut Store<State>, instance: &Instance) -> Result<(), LoadError>;

    /// Asks the policy about itself.
    fn describe(&self, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Description>;

    /// Hands the policy its configuration.
    fn configure(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        config: &str,
    ) -> wasmtime::Result<Result<(), String>>;

    /// Asks for the names of a record.
    fn names(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        view: &View,
        input: &DecisionInput,
    ) -> Answered<Vec<Name>>;

    /// Asks what stands behind names.
    fn select(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        view: &View,
        input: &DecisionInput,
        names: &[Name],
    ) -> Answered<Vec<Decision>>;

    /// Asks for how long answers may be kept, and when to ask again.
    fn ttls(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        view: &View,
        input: &DecisionInput,
        outcomes: &[Outcome],
    ) -> Answered<(Vec<u32>, Option<u32>)>;
}

/// A version of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V0_1,
}

impl Version {
    /// Finds the exports of a component that is made for this version.
    pub(crate) fn bind(self, pre: &InstancePre<State>) -> Result<Box<dyn World>, LoadError> {
        match self {
            Self::V0_1 => v0_1_0::Bound::new(pre).map(|bound| Box::new(bound) as Box<dyn World>),
        }
    }

    /// The version that understands what is called `x.y.z`. Until 1.0 every `0.y` stands for itself.
    fn named(version: &str) -> Option<Self> {
        let patch = version.strip_prefix("0.1.")?;
        // A pre-release fits nothing but itself.
        (!patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit())).then_some(Self::V0_1)
    }

    /// The functions that must or may be exported: interface, function, and how the interface declares it.
    fn functions(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Self::V0_1 => &v0_1_0::FUNCTIONS,
        }
    }
}

/// Puts what policies may import into the linker, for all versions.
pub(crate) fn link_all(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    v0_1_0::link(linker)
}

/// Checks imports and exports of a component; the version it is made for.
///
/// # Errors
///
/// When it wants something that policies do not get, is made for a version that this host does not run, or lacks
/// something.
pub(crate) fn check(engine: &Engine, component: &Component) -> Result<Version, LoadError> {
    let ty = component.component_type();
    let mut exports = Vec::new();
    let mut interfaces = Vec::new();
    for (name, item) in ty.exports(engine) {
        exports.push(name.to_owned());
        if let (Some((interface, version)), ComponentItem::ComponentInstance(instance)) = (interface(name), item.ty) {
            interfaces.push((interface.to_owned(), version.to_owned(), instance));
        }
    }
    // A component for a newer version imports newer interfaces too. That it is newer is the better explanation.
    let version = interfaces
        .iter()
        .map(|(_, version, _)| Version::named(version).ok_or_else(|| unsupported(version)))
        .reduce(|first, other| if first.is_err() { first } else { other });
    for (name, item) in ty.imports(engine) {
        match interface(name) {
            Some((_, imported)) if Version::named(imported).is_none() => return Err(unsupported(imported)),
            Some(("types" | "log", _)) => {}
            _ => return Err(forbidden(name)),
        }
        if let ComponentItem::ComponentInstance(instance) = item.ty {
            let function = |item: &ComponentItem| matches!(item, ComponentItem::ComponentFunc(_));
            let unknown = instance.exports(engine).find(|(export, item)| *export != "log" && function(&item.ty));
            if let Some((export, _)) = unknown {
                return Err(forbidden(&format!("{name}#{export}")));
            }
        }
    }
    let Some(version) = version else {
        let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        return Err(LoadError::WrongWorld { exports });
    };
    let version = version?;
    for (name, function, expected) in version.functions() {
        match interfaces.iter().find(|(interface, ..)| interface == name) {
            Some((_, _, instance)) => has_function(engine, instance, name, function, expected)?,
            None if *name == "lifecycle" => {
                return Err(LoadError::MissingExport { what: format!("interface {name}"), expected });
            }
            None => {}
        }
    }
    if interfaces.iter().all(|(interface, ..)| interface == "lifecycle") {
        return Err(LoadError::MissingExport {
            what: "every aspect".to_owned(),
            expected: "at least one of the interfaces naming, selection and ttl",
        });
    }
    Ok(version)
}

/// Interface and version of an import or export of ours, for example `naming` and `0.1.0`.
fn interface(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.split_once('@')
}

fn has_function(
    engine: &Engine,
    instance: &ComponentInstance,
    interface: &str,
    function: &str,
    expected: &'static str,
) -> Result<(), LoadError> {
    match instance.get_export(engine, function).map(|item| item.ty) {
        Some(ComponentItem::ComponentFunc(_)) => Ok(()),
        _ => Err(LoadError::MissingExport { what: format!("function {interface}.{function}"), expected }),
    }
}

fn unsupported(version: &str) -> LoadError {
    LoadError::UnsupportedVersion { found: version.to_owned(), supported: SUPPORTED }
}

fn forbidden(import: &str) -> LoadError {
    LoadError::ForbiddenImport {
        import: import.to_owned(),
        explanation: if import.starts_with("wasi:") {
            "policies get no WASI: no clock, no randomness, no environment, no files, no network"
        } else {
            "the only thing policies may import is the function of mcsdns:policy/log"
        },
    }
}
