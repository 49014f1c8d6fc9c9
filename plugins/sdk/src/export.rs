//! From a Rust type to a component.

/// Makes a component of a policy: which type, and which aspects it exports.
///
/// ```
/// use mcsdns_policy_sdk::{About, NoConfig, ConfigError, Outcome, Policy, Refusal, Subject, Ttl, Ttls};
///
/// struct OneMinute;
///
/// impl Policy for OneMinute {
///     type Config = NoConfig;
///     const ABOUT: About = About::new("one-minute", env!("CARGO_PKG_VERSION"));
///
///     fn new(_: NoConfig) -> Result<Self, ConfigError> {
///         Ok(Self)
///     }
/// }
///
/// impl Ttl for OneMinute {
///     fn ttls(&self, _: &Subject<'_>, outcomes: &[Outcome]) -> Result<Ttls, Refusal> {
///         Ok(Ttls::each(outcomes, |_| 60))
///     }
/// }
///
/// mcsdns_policy_sdk::export!(OneMinute: Ttl);
/// ```
///
/// Several aspects are joined by `+`, in the order `Naming + Selection + Ttl`. A crate has one `export!`, and
/// `[lib] crate-type = ["cdylib", "rlib"]`: the first for the component, the second for tests. What the macro writes is
/// compiled for WebAssembly only; natively it checks that the type implements what it exports.
///
/// The component gets an allocator that takes nothing back, because an instance lives for one decision. A policy that
/// frees and allocates a lot within one decision, or while it is configured, is better off with the usual one:
/// `export!(OneMinute: Ttl; allocator = std)`.
///
/// A panic ends the decision. What it says, and where, goes into the log first: the host shows it beside the failure.
#[macro_export]
macro_rules! export {
    ($policy:ty: $first:ident $(+ $aspect:ident)*; allocator = std) => {
        $crate::__export!($policy: $first $(+ $aspect)*);
    };
    ($policy:ty: $first:ident $(+ $aspect:ident)*) => {
        $crate::__export!($policy: $first $(+ $aspect)*);

        #[cfg(target_family = "wasm")]
        #[global_allocator]
        static ALLOCATOR: $crate::__private::Bump = $crate::__private::Bump::new();
    };
}

/// The world that belongs to a list of aspects.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($policy:ty: Naming) => {
        $crate::__component!($policy, "naming-policy" [Naming]);
    };
    ($policy:ty: Selection) => {
        $crate::__component!($policy, "selection-policy" [Selection]);
    };
    ($policy:ty: Ttl) => {
        $crate::__component!($policy, "ttl-policy" [Ttl]);
    };
    ($policy:ty: Naming + Selection) => {
        $crate::__component!($policy, "naming-selection-policy" [Naming Selection]);
    };
    ($policy:ty: Naming + Ttl) => {
        $crate::__component!($policy, "naming-ttl-policy" [Naming Ttl]);
    };
    ($policy:ty: Selection + Ttl) => {
        $crate::__component!($policy, "selection-ttl-policy" [Selection Ttl]);
    };
    ($policy:ty: Naming + Selection + Ttl) => {
        $crate::__component!($policy, "naming-selection-ttl-policy" [Naming Selection Ttl]);
    };
}

/// The component around a policy. The text is that of `wit/v0.1.0` without comments, with a world for every set of
/// aspects; a test compares them. It stands here so that a project elsewhere needs this crate and no file beside it.
#[doc(hidden)]
#[macro_export]
macro_rules! __component {
    ($policy:ty, $world:tt [$($aspect:ident)+]) => {
        const _: fn() = || {
            $({
                const fn implements<P: $crate::$aspect>() {}
                implements::<$policy>();
            })+
        };

        #[cfg(target_family = "wasm")]
        #[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
        mod mcsdns_policy_component {
            use super::*;

            $crate::__private::wit_bindgen::generate!({
                inline: "
                package mcsdns:policy@0.1.0;
                interface types {
                    record subject {
                        service: string,
                        namespace: string,
                        federation: string,
                        domain: string,
                        external-name: option<string>,
                        dns-prefix: option<string>,
                        record-ttl: option<u32>,
                        annotations: list<tuple<string, string>>,
                    }
                    record places {
                        regions: string,
                        zones: string,
                        zone-regions: list<u32>,
                    }
                    variant place {
                        everywhere,
                        region(u32),
                        zone(u32),
                    }
                    enum cluster-state {
                        serving,
                        no-ready-endpoints,
                        no-address,
                        no-service,
                        unreachable,
                    }
                    type ipv4-address = tuple<u8, u8, u8, u8>;
                    type ipv6-address = tuple<u16, u16, u16, u16, u16, u16, u16, u16>;
                    variant address {
                        ipv4(ipv4-address),
                        ipv6(ipv6-address),
                    }
                    record cluster-label {
                        cluster: u32,
                        key: u32,
                        value: string,
                    }
                    record fleet {
                        states: list<cluster-state>,
                        regions: list<u32>,
                        zone-counts: list<u32>,
                        zones: list<u32>,
                        address-counts: list<u32>,
                        addresses: list<address>,
                        ready-endpoints: list<u32>,
                        state-for-seconds: list<u32>,
                        names: list<string>,
                        labels: list<cluster-label>,
                    }
                    variant fallback {
                        nothing,
                        alias-of(u32),
                        always-alias-of(u32),
                    }
                    record name {
                        fqdn: string,
                        place: place,
                        fallback: fallback,
                    }
                    record question {
                        place: place,
                        fallback: fallback,
                    }
                    record target {
                        cluster: u32,
                        address: u32,
                    }
                    record weighted-set {
                        set-identifier: string,
                        targets: list<target>,
                        provider-specific: list<tuple<string, string>>,
                    }
                    variant answer {
                        clusters(list<u32>),
                        targets(list<target>),
                        sets(list<weighted-set>),
                        otherwise,
                        keep,
                    }
                    record decision {
                        answer: answer,
                        because: string,
                        recheck-after-seconds: option<u32>,
                    }
                    enum answer-kind {
                        targets,
                        sets,
                        alias,
                        kept,
                        nothing,
                    }
                    record outcome {
                        place: place,
                        kind: answer-kind,
                        targets: u32,
                        serving: u32,
                        not-serving: u32,
                        unreachable: u32,
                        stable-for-seconds: option<u32>,
                    }
                    record ttl-answer {
                        ttls: list<u32>,
                        recheck-after-seconds: option<u32>,
                    }
                    record refusal {
                        field: string,
                        message: string,
                    }
                    enum aspect {
                        naming,
                        selection,
                        ttl,
                    }
                    record needs {
                        addresses: bool,
                        cluster-names: bool,
                        cluster-labels: list<string>,
                        annotations: list<string>,
                        fqdns: bool,
                        ready-endpoints: bool,
                        state-age: bool,
                    }
                    record description {
                        name: string,
                        version: string,
                        aspects: list<aspect>,
                        needs: needs,
                        config-schema: option<string>,
                    }
                }
                interface log {
                    enum level {
                        debug,
                        info,
                        warn,
                    }
                    log: func(level: level, message: string);
                }
                interface lifecycle {
                    use types.{description};
                    describe: func() -> description;
                    configure: func(config: string) -> result<_, string>;
                }
                interface naming {
                    use types.{subject, places, name, refusal};
                    names: func(subject: subject, places: places) -> result<list<name>, refusal>;
                }
                interface selection {
                    use types.{subject, places, fleet, question, decision, refusal};
                    select: func(
                        subject: subject,
                        places: places,
                        fleet: fleet,
                        questions: list<question>,
                        fqdns: list<string>,
                    ) -> result<list<decision>, refusal>;
                }
                interface ttl {
                    use types.{subject, outcome, ttl-answer, refusal};
                    ttls: func(subject: subject, outcomes: list<outcome>) -> result<ttl-answer, refusal>;
                }
                world naming-policy {
                    import log;
                    export lifecycle;
                    export naming;
                }
                world selection-policy {
                    import log;
                    export lifecycle;
                    export selection;
                }
                world ttl-policy {
                    import log;
                    export lifecycle;
                    export ttl;
                }
                world naming-selection-policy {
                    import log;
                    export lifecycle;
                    export naming;
                    export selection;
                }
                world naming-ttl-policy {
                    import log;
                    export lifecycle;
                    export naming;
                    export ttl;
                }
                world selection-ttl-policy {
                    import log;
                    export lifecycle;
                    export selection;
                    export ttl;
                }
                world naming-selection-ttl-policy {
                    import log;
                    export lifecycle;
                    export naming;
                    export selection;
                    export ttl;
                }
                ",
                world: $world,
                runtime_path: "::mcsdns_policy_sdk::__private::wit_bindgen::rt",
                with: { "mcsdns:policy/types@0.1.0": ::mcsdns_policy_sdk::__private::types, "mcsdns:policy/log@0.1.0": ::mcsdns_policy_sdk::__private::log },
            });

            static POLICY: $crate::__private::guest::Cell<$policy> = $crate::__private::guest::Cell::new();

            /// Implements the world.
            struct Component;

            export!(Component with_types_in self);

            impl exports::mcsdns::policy::lifecycle::Guest for Component {
                fn describe() -> $crate::__private::types::Description {
                    $crate::__private::guest::describe(&POLICY, &[$($crate::__private::types::Aspect::$aspect),+])
                }

                fn configure(config: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                    $crate::__private::guest::configure(&POLICY, &config)
                }
            }

            $($crate::__aspect!($aspect);)+
        }
    };
}

/// One aspect of the component.
#[doc(hidden)]
#[macro_export]
macro_rules! __aspect {
    (Naming) => {
        impl exports::mcsdns::policy::naming::Guest for Component {
            fn names(
                subject: $crate::__private::types::Subject,
                places: $crate::__private::types::Places,
            ) -> ::std::result::Result<
                ::std::vec::Vec<$crate::__private::types::Name>,
                $crate::__private::types::Refusal,
            > {
                $crate::__private::guest::names(&POLICY, &subject, &places)
            }
        }
    };
    (Selection) => {
        impl exports::mcsdns::policy::selection::Guest for Component {
            fn select(
                subject: $crate::__private::types::Subject,
                places: $crate::__private::types::Places,
                fleet: $crate::__private::types::Fleet,
                questions: ::std::vec::Vec<$crate::__private::types::Question>,
                fqdns: ::std::vec::Vec<::std::string::String>,
            ) -> ::std::result::Result<
                ::std::vec::Vec<$crate::__private::types::Decision>,
                $crate::__private::types::Refusal,
            > {
                $crate::__private::guest::select(&POLICY, &subject, &places, fleet, &questions, &fqdns)
            }
        }
    };
    (Ttl) => {
        impl exports::mcsdns::policy::ttl::Guest for Component {
            fn ttls(
                subject: $crate::__private::types::Subject,
                outcomes: ::std::vec::Vec<$crate::__private::types::Outcome>,
            ) -> ::std::result::Result<$crate::__private::types::TtlAnswer, $crate::__private::types::Refusal> {
                $crate::__private::guest::ttls(&POLICY, &subject, &outcomes)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    /// A WIT text without comments and white space, up to its worlds.
    fn essence(text: &str) -> String {
        let code = text.lines().map(|line| line.split("//").next().unwrap());
        let text: String = code.collect::<Vec<_>>().join(" ");
        text.split_whitespace().collect::<Vec<_>>().join(" ").split("world ").next().unwrap().to_owned()
    }

    #[test]
    fn the_text_in_the_macro_is_the_interface() {
        let source = include_str!("export.rs");
        let (_, text) = source.split_once("inline: \"").unwrap();
        let (text, _) = text.split_once("\",").unwrap();
        assert_eq!(essence(text), essence(include_str!("../wit/v0.1.0/policy.wit")));
    }

    #[test]
    fn the_copy_is_the_interface() {
        let original = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/v0.1.0/policy.wit");
        // Elsewhere than in the repository there is nothing to compare with.
        if let Ok(original) = std::fs::read_to_string(original) {
            assert_eq!(include_str!("../wit/v0.1.0/policy.wit"), original);
        }
    }
}
