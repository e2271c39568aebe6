//! Every table has a name and a prefix of its own.

use std::collections::HashSet;

use super::*;

#[test]
fn names_and_prefixes_are_given_once() {
    let mut seen = HashSet::new();
    for table in CATALOGUE {
        assert!(seen.insert(table.name.to_owned()), "{} twice", table.name);
        assert!(seen.insert(format!("{:#04x}", table.prefix)), "{:#04x} twice", table.prefix);
        assert!(table.prefix != crate::engine::block::PREFIX, "{}: given to blocks", table.name);
        assert!(table.prefix < 0xE0, "{}: reserved for tests", table.name);
        let version = table.name.rsplit('-').next().and_then(|v| v.parse::<u8>().ok());
        assert!(version.is_some(), "{}: the name ends in a version", table.name);
    }
}
