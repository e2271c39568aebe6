//! The example loads; each kind of mistake is named with its line and its fix.

use std::path::Path;

use super::*;

const EXAMPLE: &str = include_str!("../../deploy/liangdi.example.toml");

fn problems(text: &str) -> Vec<Problem> {
    Settings::parse(text, Path::new("/etc/liangdi")).expect_err("must be refused")
}

#[test]
fn the_example_loads_and_paths_are_relative_to_the_file() {
    let settings = Settings::parse(EXAMPLE, Path::new("/etc/liangdi")).unwrap();
    assert_eq!(settings.area.as_str(), "410522");
    assert_eq!(settings.tls.key, Path::new("/etc/liangdi/tls/node.key"));
    assert_eq!(settings.peers.len(), 1);
}

#[test]
fn each_mistake_is_named_with_its_line_and_its_fix() {
    let cases = [
        ("area = \"410522\"", "area = \"41052\"", "area", "six digits"),
        ("area = \"410522\"", "area = \"419999\"", "area", "Look it up"),
        ("node = \"127.0.0.1:7401\"", "node = \"nowhere\"", "listen.node", "127.0.0.1:7401"),
        (
            "office = \"127.0.0.1:7402\"",
            "office = \"127.0.0.1:7401\"",
            "listen.office",
            "two ports",
        ),
        ("suffix = \"liangdi.internal\"", "suffix = \"Not A Name\"", "tls.suffix", "liangdi"),
        ("window_parcels = 4", "window_parcels = 0", "delivery.window_parcels", "1 to 64"),
        (
            "messages_per_second = 200000",
            "messages_per_second = 9",
            "limits.messages_per_second",
            "10 to",
        ),
        (
            "bytes_per_second = 268435456",
            "bytes_per_second = 1",
            "limits.bytes_per_second",
            "65536 to",
        ),
        (
            "connections_per_peer = 8",
            "connections_per_peer = 1",
            "limits.connections_per_peer",
            "2 to",
        ),
        (
            "disk_free_min_mb = 256",
            "disk_free_min_mb = 2000000000",
            "limits.disk_free_min_mb",
            "0 to",
        ),
        ("area = \"440305\"", "area = \"410522\"", "peer.area", "Remove"),
        ("endpoint = \"127.0.0.1:7501\"", "endpoint = \"x\"", "peer.endpoint", "node.example"),
        ("key_file = \"data.key\"", "", "store", "exactly one"),
    ];
    for (good, bad, setting, fix) in cases {
        assert!(EXAMPLE.contains(good), "the example must contain {good}");
        let text = EXAMPLE.replacen(good, bad, 1);
        let found = problems(&text);
        let hit = found.iter().find(|p| p.setting == setting);
        let hit = hit.unwrap_or_else(|| panic!("{bad}: no problem named {setting} in {found:?}"));
        assert!(hit.fix.contains(fix) || hit.problem.contains(fix), "{bad}: {hit:?}");
        if !bad.is_empty() {
            let lines = text.lines().collect::<Vec<_>>();
            let line = lines.iter().rposition(|l| l.starts_with(bad)).unwrap() + 1;
            assert_eq!(hit.line, line, "{bad}");
        }
    }
}

#[test]
fn a_misspelt_setting_and_broken_toml_name_their_line() {
    let misspelt = EXAMPLE.replacen("data_dir", "data_dri", 1);
    assert!(problems(&misspelt)[0].problem.contains("data_dri"));
    assert_eq!(problems("area = \"410522\"\nname = ")[0].line, 2);
}

#[test]
fn the_message_names_file_line_setting_and_fix() {
    let text = EXAMPLE.replacen("area = \"410522\"", "area = \"x\"", 1);
    let line = text.lines().position(|l| l.starts_with("area")).unwrap() + 1;
    let error = ConfigError::Wrong { file: "n.toml".into(), problems: problems(&text) };
    let expected = format!("n.toml:{line}: area: \"x\" is not an area code. Write six digits");
    assert!(error.to_string().starts_with(&expected), "{error}");
}
