//! Gives the component a larger stack than policies usually have: expressions are walked as deep as they are nested.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family.contains("wasm")) {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size=524288");
    }
}
