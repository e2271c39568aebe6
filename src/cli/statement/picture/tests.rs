//! No band of a picture leaves its bar, and nothing leaves the picture.

use proptest::prelude::*;

use super::*;

const ASKER: &str = "410000";
const ANSWERER: &str = "440000";

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

fn counties(province: &str) -> Vec<AreaCode> {
    AreaTable::builtin().counties_of(&area(province)).iter().map(|area| area.code).collect()
}

/// Every pair of counties of two provinces, both ways.
fn every_pair(messages: impl Fn(usize) -> u64) -> BTreeMap<Pair, u64> {
    let (ours, theirs) = (counties(ASKER), counties(ANSWERER));
    let there = ours.iter().flat_map(|from| theirs.iter().map(|to| (*from, *to)));
    let both = there.flat_map(|(from, to)| [(from, to), (to, from)]);
    both.enumerate().map(|(at, pair)| (pair, messages(at))).collect()
}

fn drawn(totals: &BTreeMap<Pair, u64>) -> String {
    flows(totals, (area(ASKER), area(ANSWERER)))
}

/// What must be so of every picture.
fn check(totals: &BTreeMap<Pair, u64>) {
    let all: u128 = totals.values().copied().map(u128::from).sum();
    let Some(picture) = Picture::new(totals, area(ASKER)) else {
        assert_eq!(all, 0, "only where nothing was exchanged there is no picture");
        return;
    };
    let shown: u128 = picture.bands.iter().map(|band| band.messages).sum();
    assert_eq!(shown, all, "every message is in a band");
    for (bars, is_left) in [(&picture.left, true), (&picture.right, false)] {
        for (bar, next) in bars.iter().zip(bars.iter().skip(1)) {
            assert!(bar.at + bar.height < next.at, "bars do not touch: {picture:?}");
            let (middle, next) = (bar.at + bar.height / 2, next.at + next.height / 2);
            assert!(middle + LETTER <= next, "names do not touch: {picture:?}");
        }
        for bar in bars {
            let of =
                |band: &&Band| bar.is(band.direction, if is_left { band.from } else { band.to });
            let mut bands: Vec<_> = picture.bands.iter().filter(of).collect();
            bands.sort_by_key(|band| if is_left { band.at.0 } else { band.at.1 });
            let mut at = bar.at;
            for band in bands {
                assert_eq!(if is_left { band.at.0 } else { band.at.1 }, at, "one after the other");
                at += band.height;
            }
            assert_eq!(at, bar.at + bar.height, "a bar is as high as its bands: {picture:?}");
            assert!(bar.at + bar.height <= picture.height, "nothing leaves the picture");
            let middle = bar.at + bar.height / 2;
            assert!(middle >= LETTER / 2 && middle + LETTER / 2 <= picture.height, "nor its name");
            let label = label(bar.end);
            let width = label.chars().map(|it| if it.is_ascii() { 7 } else { LETTER }).sum::<u32>();
            assert!(width + 6 <= MARGIN, "{label} has no room");
        }
    }
    // It fits on a page of A4 beside its title: 174 mm wide, not higher than that.
    assert!(picture.height <= WIDTH + WIDTH / 8, "{} is too high", picture.height);
}

#[test]
fn one_county_with_much_to_one_and_one_message_to_each_of_the_others() {
    let from = area("410522");
    let theirs = counties(ANSWERER);
    let mut totals: BTreeMap<_, _> = theirs.iter().take(24).map(|to| ((from, *to), 1)).collect();
    totals.insert((from, *theirs.first().unwrap()), 1_000);
    check(&totals);
    let picture = Picture::new(&totals, area(ASKER)).unwrap();
    assert_eq!((picture.left.len(), picture.right.len(), picture.bands.len()), (1, 24, 24));
    assert!(drawn(&totals).contains("All 24 pairs, 1023 messages"));
}

#[test]
fn the_caption_says_how_much_is_drawn_and_the_rest_is_one_band_for_each_direction() {
    let totals: BTreeMap<_, _> =
        every_pair(|at| if at < 24 { 100 } else { 1 }).into_iter().take(300).collect();
    let some: u64 = totals.values().sum();
    let page = drawn(&totals);
    check(&totals);
    assert!(page.contains(&format!("of {some} messages")), "{page}");
    assert!(page.contains("24 of 300 pairs") && page.contains("共 300 对"), "{page}");
    let picture = Picture::new(&totals, area(ASKER)).unwrap();
    let grey = picture.bands.iter().filter(|band| band.from == End::Others);
    let directions: Vec<_> = grey.map(|band| band.direction).collect();
    assert!(!directions.is_empty() && directions.len() <= 2, "{directions:?}");
    assert_eq!(page.matches("<path ").count(), 24 + directions.len());
}

#[test]
fn all_pairs_of_two_provinces_stay_one_picture_that_says_that_it_is_a_small_part() {
    let totals = every_pair(|at| u64::try_from(at % 7).unwrap());
    assert!(totals.len() > 30_000, "{}", totals.len());
    check(&totals);
    let page = drawn(&totals);
    assert!(page.len() < 20_000 && page.contains("The grey is not to scale"), "{page}");
}

#[test]
fn nothing_exchanged_is_said_and_pairs_without_a_message_are_no_bands() {
    let pair = (area("410522"), area("440305"));
    assert!(drawn(&BTreeMap::new()).contains("无往来"));
    assert!(drawn(&[(pair, 0)].into()).contains("无往来"));
    let one: BTreeMap<_, _> = [(pair, 1), ((pair.1, pair.0), 0)].into();
    check(&one);
    assert_eq!(drawn(&one).matches("<path ").count(), 1);
}

#[test]
fn names_too_long_for_their_place_are_those_of_the_county_alone_and_then_cut() {
    let name = |code: &str| short(&area(code));
    assert_eq!(name("410522"), "安阳市安阳县");
    let longest = AreaTable::builtin().areas().iter().map(|area| short(&area.code));
    assert!(longest.map(|name| name.chars().count()).max().unwrap() <= LABEL);
    // 临沧市双江拉祜族佤族布朗族傣族自治县, 巴音郭楞蒙古自治州焉耆回族自治县
    assert_eq!(name("530925"), "双江拉祜族佤族布朗族傣…");
    assert_eq!(name("652826"), "焉耆回族自治县");
}

proptest! {
    #[test]
    fn no_band_leaves_its_bar_and_nothing_the_picture(
        picked in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>(), messages()), 0..120)
    ) {
        let (ours, theirs) = (counties(ASKER), counties(ANSWERER));
        let totals = picked.iter().map(|(our, their, there, messages)| {
            let (our, their) = (*our.get(&ours), *their.get(&theirs));
            (if *there { (our, their) } else { (their, our) }, *messages)
        });
        check(&totals.collect());
    }
}

/// Nothing, a few, many, and more than there can be.
fn messages() -> impl Strategy<Value = u64> {
    prop_oneof![0..3_u64, 0..100_u64, 0..1_000_000_u64, Just(u64::MAX)]
}
