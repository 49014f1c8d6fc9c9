//! One test per way in which a ConfigMap can be wrong, each made from a good one.

use std::io::Write as _;

use mcsdns_api::{
    convert::{CONFIG_MAP_BYTES, ConfigMapObject, PolicyMap, Watched, from_value},
    metadata::LABEL_POLICY,
};
use mcsdns_policy::{Budget, Engine, EngineLimits, LoadRequest};

use super::*;

const COMPONENT: &[u8] = mcsdns_bench::components::TTL_ONLY;

fn good() -> PolicyMap {
    let mut map = PolicyMap { name: "good".into(), ..PolicyMap::default() };
    map.binary.insert(KEY_WASM.to_owned(), COMPONENT.to_vec());
    map.data.insert(KEY_CONFIG.to_owned(), "behave".to_owned());
    map
}

fn read(map: &PolicyMap) -> Result<Package, PackageError> {
    Package::read(map, &Budget::ceiling())
}

fn refused(change: impl FnOnce(&mut PolicyMap)) -> (&'static str, String) {
    let mut map = good();
    change(&mut map);
    let error = read(&map).unwrap_err();
    (error.reason(), error.to_string())
}

fn case(name: &str) -> Case {
    let files = [("host/domain.yaml", "kind: Domain\n"), ("expected.yaml", "endpoints: {}\n")];
    Case {
        name: name.to_owned(),
        files: files.map(|(path, text)| (path.to_owned(), text.to_owned())).into_iter().collect(),
    }
}

#[test]
fn every_encoding_comes_back_as_it_went() {
    for encoding in [Encoding::Plain, Encoding::Gzip, Encoding::Zstd] {
        let package = Package {
            encoding,
            config: Some("behave".to_owned()),
            budget: Some(serde_saphyr::from_str("fuel: 7\nnames: 3").unwrap()),
            cases: vec![case("a"), case("b.1")],
            ..Package::new("round-trip", COMPONENT.to_vec())
        };
        let manifest = package.manifest("federation-system").unwrap();
        assert_eq!(manifest, package.manifest("federation-system").unwrap(), "not the same twice");
        let value = serde_json::to_value(&manifest).unwrap();
        assert_eq!(value["metadata"]["labels"][LABEL_POLICY], "true");
        let map = from_value::<ConfigMapObject>(&value).unwrap().fact().unwrap();
        assert_eq!(map.bytes(), manifest.bytes);
        let back = read(&map).unwrap();
        let sha256 = Some(package.digest().to_string());
        assert_eq!(back, Package { sha256, stored_bytes: back.stored_bytes, ..package });
        assert!(encoding == Encoding::Plain || back.stored_bytes < COMPONENT.len(), "{encoding:?}");
        // The YAML that people apply says the same.
        let yaml = serde_saphyr::to_string(&manifest).unwrap();
        assert_eq!(serde_saphyr::from_str::<serde_json::Value>(&yaml).unwrap(), value);
    }
}

#[test]
fn components_that_are_not_there() {
    assert_eq!(refused(|map| map.binary.clear()).0, "NoComponent");
    let two = refused(|map| drop(map.binary.insert(KEY_GZIP.to_owned(), vec![1])));
    assert_eq!(
        two,
        ("TwoComponents", "binaryData has both `policy.wasm` and `policy.wasm.gz`; keep one of them".into())
    );
    let text = refused(|map| {
        map.binary.clear();
        map.data.insert(KEY_WASM.to_owned(), "AGFz".to_owned());
    });
    assert_eq!(text.0, "NotBinary");
    let malformed = refused(|map| {
        map.malformed = Some(mcsdns_core::facts::Malformed { message: "binaryData[policy.wasm]: not base64".into() });
    });
    assert_eq!(malformed, ("Malformed", "binaryData[policy.wasm]: not base64".into()));
}

#[test]
fn more_than_a_config_map_holds() {
    let (reason, message) = refused(|map| drop(map.binary.insert(KEY_WASM.to_owned(), vec![0; CONFIG_MAP_BYTES])));
    assert_eq!(reason, "PackageTooLarge");
    assert!(message.contains("1048582 bytes") && message.contains("1048576 (1 MiB)"), "{message}");
    let package = Package { encoding: Encoding::Plain, ..Package::new("large", vec![7; CONFIG_MAP_BYTES + 1]) };
    assert_eq!(package.manifest("ns").unwrap_err().reason(), "PackageTooLarge");
}

fn gzip_bomb(bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..bytes >> 20 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn bombs_are_stopped_at_the_limit() {
    let gzip = gzip_bomb(256 << 20);
    let zstd = ruzstd::encoding::compress_to_vec(&*vec![0_u8; 64 << 20], ruzstd::encoding::CompressionLevel::Fastest);
    for (key, bomb) in [(KEY_GZIP, gzip), (KEY_ZSTD, zstd)] {
        assert!(bomb.len() < CONFIG_MAP_BYTES, "{} bytes", bomb.len());
        let (reason, message) = refused(|map| map.binary = [(key.to_owned(), bomb.clone())].into());
        assert_eq!(reason, "UnpackedTooLarge");
        assert!(message.contains(&format!("{} bytes unpack to more than 8388608", bomb.len())), "{message}");
    }
}

#[test]
fn a_zstd_frame_cannot_ask_for_a_gigabyte_of_window() {
    // Magic, frame header without content size, window of 1 GiB, one empty last block.
    let frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 0x01, 0x00, 0x00];
    let (reason, message) = refused(|map| map.binary = [(KEY_ZSTD.to_owned(), frame)].into());
    assert_eq!(reason, "WrongEncoding", "{message}");
    assert!(message.contains("window"), "{message}");
}

#[test]
fn keys_that_promise_something_else() {
    let packed = compress::pack(COMPONENT, Encoding::Gzip);
    for (key, bytes, says) in [
        (KEY_WASM, packed.clone(), "it is compressed; name the key `policy.wasm.gz`"),
        (KEY_ZSTD, packed.clone(), "it is not; name the key `policy.wasm.gz`"),
        (KEY_GZIP, COMPONENT.to_vec(), "it is not; name the key `policy.wasm`"),
        (KEY_GZIP, b"hello".to_vec(), "not compressed in this way"),
        (KEY_GZIP, packed[..packed.len() / 2].to_vec(), "cannot be unpacked"),
        (KEY_WASM, Vec::new(), "it is empty"),
    ] {
        let (reason, message) = refused(|map| map.binary = [(key.to_owned(), bytes)].into());
        assert_eq!(reason, "WrongEncoding");
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn digests_are_declared_in_full() {
    let (reason, message) = refused(|map| drop(map.data.insert(KEY_SHA256.to_owned(), "abc".to_owned())));
    assert_eq!(
        (reason, message.as_str()),
        ("DigestInvalid", "data[sha256]: `abc` is not the 64 hexadecimal digits of a sha256",)
    );
    let mut map = good();
    let digest = mcsdns_policy::Digest::of(COMPONENT).to_string();
    map.data.insert(KEY_SHA256.to_owned(), format!("sha256:{}\n", digest.to_uppercase()));
    assert_eq!(read(&map).unwrap().sha256, Some(digest));
}

#[test]
fn budgets_stay_below_what_is_allowed() {
    let with = |text: &str| refused(|map| drop(map.data.insert(KEY_BUDGET.to_owned(), text.to_owned())));
    let (reason, message) = with("names: 10001");
    assert_eq!(reason, "BudgetInvalid");
    assert!(message.starts_with("data[budget]: names is 10001; at most 10000 are allowed here"), "{message}");
    let (reason, message) = with("fuell: 7");
    assert!(reason == "BudgetInvalid" && message.contains("fuell") && !message.contains('\n'), "{message}");
    // A budget below the size of the component stops its unpacking.
    let (reason, message) = with("componentBytes: 1000");
    assert_eq!(reason, "UnpackedTooLarge", "{message}");
}

#[test]
fn cases_are_files_inside_their_folder() {
    let with = |text: &str| refused(|map| drop(map.data.insert(KEY_CASES.to_owned(), text.to_owned())));
    for (text, says) in [
        ("[a, b]", "expected cases by name"),
        ("a: {host/x.yaml: b}", "a: there is no expected.yaml"),
        ("a: {../x.yaml: b, expected.yaml: c}", "a: `../x.yaml` is not a file of a case"),
        ("a: {/etc/passwd: b, expected.yaml: c}", "a: `/etc/passwd` is not a file of a case"),
        ("a: {host//x: b, expected.yaml: c}", "is not a file of a case"),
        ("a: {.hidden/x: b, expected.yaml: c}", "is not a file of a case"),
        ("../a: {expected.yaml: c}", "`../a` is not a name for a case"),
    ] {
        let (reason, message) = with(text);
        assert!(reason == "CasesInvalid" && message.contains(says), "{text}: {message}");
    }
    let many: String = (0..101).map(|i| format!("c{i}: {{expected.yaml: ''}}\n")).collect();
    assert!(with(&many).1.contains("there are 101 cases, 100 are allowed"));
}

#[test]
fn unknown_keys_are_noted() {
    let mut map = good();
    map.data.insert("Config".to_owned(), String::new());
    map.binary.insert("config".to_owned(), Vec::new());
    map.binary.insert("extra".to_owned(), Vec::new());
    assert_eq!(
        read(&map).unwrap().notes,
        [
            "data[Config] has no effect",
            "binaryData[config] (it belongs into data) has no effect",
            "binaryData[extra] has no effect",
        ]
    );
}

#[test]
fn names_are_those_of_config_maps() {
    for bad in ["", "Upper", "a_b", "-a", "a/b", "*.a"] {
        assert_eq!(Package::new(bad, vec![1]).manifest("ns").unwrap_err().reason(), "NameInvalid", "{bad}");
    }
    assert!(Package::new("short-names.v2", vec![1]).manifest("ns").is_ok());
}

#[test]
fn what_only_the_sandbox_can_tell_gets_as_far_as_the_sandbox() {
    let engine = Engine::new(EngineLimits::default()).unwrap();
    // The head of an object file (ELF, 64 bits) that says it was made by the sandbox's own compiler.
    let mut elf = vec![0; 64];
    elf[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 200]);
    (elf[16], elf[20], elf[48], elf[52]) = (1, 1, 2, 64);
    let precompiled = read(&PolicyMap { binary: [(KEY_WASM.to_owned(), elf)].into(), ..good() }).unwrap();
    let error = engine.load(&LoadRequest::new("x", &precompiled.component)).unwrap_err();
    assert_eq!(error.reason(), "Precompiled");
}
