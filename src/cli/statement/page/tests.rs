//! What the page, and the other views of a statement, have to say.

use domain::id::MessageId;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::reconcile::difference::Difference;
use exchange::reconcile::set::Scope;
use exchange::reconcile::statement::{Correction, LeftKind, LeftMore, LeftRest, PairHeld, Words};
use exchange::reconcile::totals::{Counts, Digests, Totals};
use exchange::reconcile::{Entry, EntryState};

use super::*;

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

fn counts(stored: u64) -> Counts {
    Counts { stored, ..Counts::default() }
}

/// Three pairs, one difference that is left, one county that has not reported.
fn read() -> Read {
    let totals = [
        ((area("410522"), area("440305")), counts(40)),
        ((area("440305"), area("410522")), counts(8)),
        ((area("411528"), area("440305")), counts(0)),
    ];
    let sender = Entry {
        id: MessageId::new(UnixMillis::new(1_793_000_000_000), [7; 10]),
        digest: Digest::of(b"one"),
        from: area("410522"),
        to: area("440305"),
        state: EntryState::Stored,
    };
    let recipient = Entry { digest: Digest::of(b"other"), ..sender };
    let (sender, recipient) = (Some(sender), Some(recipient));
    let left = Difference { name: DifferenceName::ContentDiffers, sender, recipient };
    let statement = Statement {
        id: [1; 16],
        scope: Scope {
            asker: area("410000"),
            answerer: area("440000"),
            first: "2026-10-01".parse().unwrap(),
            last: "2026-10-31".parse().unwrap(),
            until: UnixMillis::new(1_793_500_000_000),
        },
        made: UnixMillis::new(1_793_500_000_000),
        totals: Totals(totals.into()),
        digests: Digests::default(),
        found: [2, 0, 0, 0, 0, 0],
        cured: [2, 0, 0, 0, 0, 0],
        left: vec![left],
        left_more: Vec::new(),
        left_rest: LeftRest::default(),
        lost: Vec::new(),
        corrections: Vec::new(),
        incomplete: vec![(area("411528"), "2026-10-09".parse().unwrap())],
    };
    let signer = |code| Signer {
        area: area(code),
        certificate: format!("certificate of {code}"),
        fault: None,
    };
    Read {
        statement,
        digest: Digest::of(b"statement"),
        signers: [signer("410000"), signer("440000")],
        with_lists: false,
    }
}

#[test]
fn a_page_has_every_pair_and_a_band_for_each() {
    let mut read = read();
    let page = html(&read);
    assert!(page.contains("certificate of 410000") && page.contains("certificate of 440000"));
    assert_eq!(page.matches("<path ").count(), 2, "one pair has no message");
    assert!(page.contains("3 对 pairs<td class=\"n\">48<td class=\"n\">0"), "the sum: {page}");
    assert!(page.contains("各县合计"), "{page}");
    assert!(page.contains("CONTENT_DIFFERS"), "what is left is named");
    assert!(page.contains("2026-10-09") && page.contains("未关账"), "who has not reported");
    assert!(page.contains("size:A4") && page.contains("MISSING_AT_RECIPIENT"));
    assert!(page.contains("410522 安阳市安阳县"), "the province stands at the head: {page}");
    assert!(page.contains(">安阳市安阳县 410522<"), "beside its bar");
    assert!(!page.contains("http"), "it needs nothing from elsewhere");

    // Beyond what is named it says how many, and the tables of the spreadsheet say it as well.
    let what = LeftKind {
        pair: (area("410522"), area("440305")),
        name: DifferenceName::MissingAtRecipient,
        sender: Some(EntryState::Stored),
        recipient: None,
    };
    read.statement.left_more = vec![LeftMore { what, count: 77 }];
    read.statement.lost = read.statement.left.iter().filter_map(Difference::id).collect();
    let page = html(&read);
    assert!(page.contains("77 more left") && page.contains("已丢失 lost"), "{page}");
    let tables = String::from_utf8(crate::cli::statement::csv::tables(&read).unwrap()).unwrap();
    for line in [
        "field,value\r\n",
        "first_day,2026-10-01\r\n",
        "asker_certificate,certificate of 410000\r\n",
        "from,from_name,to,to_name,stored,refused,waiting,entries_sha256\r\n",
        "MISSING_AT_RECIPIENT,2,2,收方缺失 MISSING_AT_RECIPIENT\r\n",
        ",410522,440305,STORED,STORED,true,",
        "MISSING_AT_RECIPIENT,410522,440305,STORED,NOTHING,77\r\n",
        "411528,河南省",
    ] {
        assert!(tables.contains(line), "{line}: {tables}");
    }
    assert!(tables.starts_with('\u{feff}'), "as the template of imports");
    let told = crate::cli::statement::told::told(&read);
    assert_eq!(told.json["signatures"][1]["certificate"], "certificate of 440000");
    // What both have signed bears the asker's time.
    assert!(told.json["signatures"][0]["signed_ms"].is_u64());
    assert!(told.json["signatures"][1]["signed_ms"].is_null());
    assert!(told.text.contains("收方缺失 MISSING_AT_RECIPIENT"), "{}", told.text);
    assert_eq!(
        (&told.json["left_more"][0]["count"], told.json["lost"].as_array().unwrap().len()),
        (&serde_json::json!(77), 1)
    );
    assert!(told.text.contains("77") && told.text.contains("certificate of 410000"));
}

/// All three views of a statement: page, tables, words; and JSON.
fn views(read: &Read) -> [String; 4] {
    let tables = String::from_utf8(crate::cli::statement::csv::tables(read).unwrap()).unwrap();
    let told = crate::cli::statement::told::told(read);
    [html(read), tables, told.text, told.json.to_string()]
}

#[test]
fn every_view_says_what_is_attested_what_was_corrected_and_what_was_not_verified() {
    let pair = (area("410522"), area("440305"));
    let entries = Digest::of(b"entries");
    let held = |digest: &[u8]| PairHeld { counts: counts(7), digest: Some(Digest::of(digest)) };
    let mut read = read();
    let correction = Correction {
        statement: Digest::of(b"october"),
        pair,
        before: held(b"before"),
        now: held(b"now"),
    };
    read.statement.corrections = vec![correction];
    for (view, says) in views(&read).iter().zip([
        "numbers alone",
        "pairs_attested,0",
        "numbers alone",
        "\"pairs_attested\":0",
    ]) {
        assert!(view.contains(says), "{view}");
    }
    read.statement.digests = Digests([(pair, entries)].into());
    let [page, tables, words, json] = views(&read);
    assert!(page.contains(&entries.to_string()[..sums::DIGITS]) && page.contains("<code>—</code>"));
    assert!(tables.contains(&entries.to_string()) && json.contains(&entries.to_string()));
    assert!(words.contains("1 / 3"), "{words}");
    for view in [&page, &words] {
        assert!(view.contains("same numbers, other entries"), "{view}");
    }
    assert!(tables.contains(&Digest::of(b"now").to_string()));
    assert!(json.contains("\"keeps_totals\":true"), "{json}");
    assert!(views(&read).iter().all(|view| !view.contains("NOT verified")));

    read.signers[1].fault = Some("its <root> is not known".to_owned());
    assert!(!read.is_verified());
    let [page, tables, words, json] = views(&read);
    assert_eq!(page.matches("signature verified").count(), 1);
    assert!(page.contains("NOT verified") && page.contains("&lt;root&gt;"));
    assert!(tables.contains("answerer_signature,NOT verified"), "{tables}");
    assert!(words.contains("NOT verified: its <root>"), "{words}");
    assert!(json.contains("\"verified\":false"), "{json}");

    let words = Words { asker: counts(4), answerer: Counts::default() };
    read.statement.left_rest = LeftRest { count: 4, pairs: [(pair, words)].into() };
    read.statement.corrections = vec![correction; 1_000];
    let [page, tables, words, json] = views(&read);
    assert!(page.contains("And 4 more left") && tables.contains("4,410522,440305,4,0,0,0,0,0"));
    assert!(words.contains("其余遗留 4 项") && json.contains("\"left_rest\":{\"count\":4"));
    for view in [page, words] {
        assert!(view.contains("there may be more"), "{view}");
    }
    assert!(tables.contains("corrections_cut,true"));
}
