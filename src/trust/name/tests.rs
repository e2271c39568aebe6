//! Tests of names: what is read, what is written, what is refused.

use proptest::prelude::*;

use super::*;

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

#[test]
fn names_are_read_as_they_are_written() {
    let suffix = Suffix::default();
    for (dns, name) in [
        ("410522.41.liangdi.internal", CertificateName::Node(area("410522"))),
        ("410000.41.liangdi.internal", CertificateName::Node(area("410000"))),
        ("659001.65.liangdi.internal", CertificateName::Node(area("659001"))),
        (
            "alice.operators.410522.41.liangdi.internal",
            CertificateName::Operator { name: "alice".parse().unwrap(), area: area("410522") },
        ),
    ] {
        assert_eq!(suffix.parse(dns), Ok(name.clone()), "{dns}");
        assert_eq!(name.to_dns(&suffix).as_deref(), Ok(dns));
    }
    assert_eq!(suffix.province(area("410522")), "41.liangdi.internal");
}

#[test]
fn everything_else_is_refused() {
    let suffix = Suffix::default();
    for (dns, error) in [
        ("", NameError::OtherSuffix),
        ("liangdi.internal", NameError::OtherSuffix),
        ("410522.41.liangdi.example", NameError::OtherSuffix),
        ("410522.41.liangdi.internal.", NameError::OtherSuffix),
        ("410522.41xliangdi.internal", NameError::OtherSuffix),
        ("410522.41.LIANGDI.internal", NameError::OtherSuffix),
        ("41.liangdi.internal", NameError::Shape),
        ("*.41.liangdi.internal", NameError::Area),
        ("41052.41.liangdi.internal", NameError::Area),
        ("410522001.41.liangdi.internal", NameError::Area),
        ("410522.44.liangdi.internal", NameError::Province),
        ("alice.410522.41.liangdi.internal", NameError::Shape),
        ("alice.operators.x.410522.41.liangdi.internal", NameError::Shape),
        ("a.b.operators.410522.41.liangdi.internal", NameError::Shape),
        ("Alice.operators.410522.41.liangdi.internal", NameError::Operator),
        ("*.operators.410522.41.liangdi.internal", NameError::Operator),
        ("-a.operators.410522.41.liangdi.internal", NameError::Operator),
        (".operators.410522.41.liangdi.internal", NameError::Operator),
        // So the access log calls what the node does by itself.
        ("node.operators.410522.41.liangdi.internal", NameError::Reserved),
    ] {
        assert_eq!(suffix.parse(dns), Err(error), "{dns:?}");
    }
    assert_eq!(suffix.node(area("410522001")), Err(NameError::Area));
    let node = CertificateName::Operator { name: OperatorName::node(), area: area("410522") };
    assert_eq!(node.to_dns(&suffix), Err(NameError::Reserved));
}

#[test]
fn a_suffix_is_a_lower_case_dns_name() {
    assert_eq!("pk.example".parse::<Suffix>().unwrap().as_str(), "pk.example");
    for bad in ["", ".", "a..b", ".a", "a.", "A.b", "*.b", "a_b.c", "两地", "-a.b"] {
        assert_eq!(bad.parse::<Suffix>(), Err(NameError::Suffix), "{bad:?}");
    }
    assert_eq!("a.".repeat(60).parse::<Suffix>(), Err(NameError::Suffix));
}

#[test]
fn every_role_has_its_text() {
    for text in ["clerk", "supervisor", "administrator", "auditor", "collector"] {
        assert_eq!(role_text(role_from_text(text).unwrap()), text);
    }
    assert_eq!(role_from_text("Clerk"), None);
}

proptest! {
    #[test]
    fn parsing_never_panics(text in "[a-z0-9.*-]{0,40}(\\.41\\.liangdi\\.internal)?") {
        if let Ok(name) = Suffix::default().parse(&text) {
            prop_assert_eq!(name.to_dns(&Suffix::default()), Ok(text));
        }
    }
}
