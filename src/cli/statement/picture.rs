//! The picture of a statement: senders on the left, recipients on the right, bands as high as what went between them.
//!
//! A bar is exactly as high as its bands together, so that no band leaves it. The largest pairs have a band each; what the
//! others have sent is one grey band for each direction.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use domain::area::{AreaCode, AreaTable};

use super::name;
use super::page::{escape, within};

/// Pairs that have a band of their own.
const PAIRS_MAX: usize = 24;
/// Of the picture, as all that follows: in units of its viewBox.
const WIDTH: u32 = 640;
/// Width of a bar.
const BAR: u32 = 14;
/// Beside the bars, for their names.
const MARGIN: u32 = 190;
/// All bands together are about so high.
const BANDS_HEIGHT: u32 = 260;
/// The grey bands together are at most so high: else nothing would be seen of the others.
const REST_MAX: u32 = 72;
/// Between two bars.
const GAP: u32 = 5;
/// A bar has at least so much room: that of its name.
const ROOM_MIN: u32 = 15;
/// Between the bars of the one side and those of the other.
const BETWEEN: u32 = 10;
/// Above the first bar, and below the last.
const EDGE: u32 = 8;
/// Size of the letters; one of them is as wide, a digit a little more than half of it.
const LETTER: u32 = 11;
/// So many letters of a name have room beside a bar.
const LABEL: usize = 12;

type Pair = (AreaCode, AreaCode);

/// Whose messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    /// The asker's, to the answerer.
    There,
    /// The answerer's, to the asker.
    Back,
}

impl Direction {
    const ALL: [Self; 2] = [Self::There, Self::Back];
}

/// An end of a band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    County(AreaCode),
    /// The counties whose pairs have no band of their own.
    Others,
}

#[derive(Clone, Copy, Debug)]
struct Band {
    direction: Direction,
    from: End,
    to: End,
    messages: u128,
    height: u32,
    /// Where it begins at its sender's bar, and at its recipient's.
    at: (u32, u32),
}

#[derive(Clone, Copy, Debug)]
struct Bar {
    direction: Direction,
    end: End,
    at: u32,
    /// Of its bands together.
    height: u32,
    /// Of these, placed.
    taken: u32,
}

/// What is not drawn for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rest {
    pairs: usize,
    messages: u128,
}

/// Where everything stands.
#[derive(Debug)]
struct Picture {
    bands: Vec<Band>,
    /// Senders.
    left: Vec<Bar>,
    /// Recipients.
    right: Vec<Bar>,
    height: u32,
    /// Pairs that have a band of their own.
    drawn: Rest,
    rest: Rest,
    /// Whether the grey bands are lower than their messages would have them.
    is_rest_cut: bool,
}

/// A part of a height, never nothing.
fn part(messages: u128, of: u128, height: u32) -> u32 {
    let height = messages.saturating_mul(u128::from(height)) / of.max(1);
    u32::try_from(height).unwrap_or(u32::MAX).max(1)
}

impl Picture {
    /// `None` when nothing was exchanged.
    fn new(totals: &BTreeMap<Pair, u64>, asker: AreaCode) -> Option<Self> {
        let mut pairs: Vec<(Pair, u128)> = totals
            .iter()
            .filter(|(_, messages)| **messages > 0)
            .map(|(pair, messages)| (*pair, u128::from(*messages)))
            .collect();
        pairs.sort_by_key(|(pair, messages)| (std::cmp::Reverse(*messages), *pair));
        let others = pairs.split_off(pairs.len().min(PAIRS_MAX));
        let direction = |(sender, _): &Pair| match asker.contains(sender) {
            true => Direction::There,
            false => Direction::Back,
        };
        let sum = |pairs: &[(Pair, u128)]| Rest {
            pairs: pairs.len(),
            messages: pairs.iter().map(|(_, messages)| messages).sum(),
        };
        let (drawn, rest) = (sum(&pairs), sum(&others));
        if drawn.pairs == 0 {
            return None;
        }
        let all = drawn.messages.saturating_add(rest.messages);
        let rest_height = if rest.pairs == 0 { 0 } else { part(rest.messages, all, BANDS_HEIGHT) };
        let is_rest_cut = rest_height > REST_MAX;
        let rest_height = rest_height.min(REST_MAX);
        let band = |direction, (from, to), messages, height| Band {
            direction,
            from,
            to,
            messages,
            height,
            at: (0, 0),
        };
        let mut bands: Vec<Band> = pairs
            .iter()
            .map(|(pair @ (from, to), messages)| {
                let height =
                    part(*messages, drawn.messages, BANDS_HEIGHT.saturating_sub(rest_height));
                let ends = (End::County(*from), End::County(*to));
                band(direction(pair), ends, *messages, height)
            })
            .collect();
        for side in Direction::ALL {
            let its = others.iter().filter(|(pair, _)| direction(pair) == side);
            let messages: u128 = its.map(|(_, messages)| messages).sum();
            if messages > 0 {
                let height = part(messages, rest.messages, rest_height);
                bands.push(band(side, (End::Others, End::Others), messages, height));
            }
        }
        let (left, mut right) = (bars(&bands, |band| band.from), bars(&bands, |band| band.to));
        // Each across from whom it has most of: the bands of the largest come first.
        right.sort_by_key(|bar| {
            let most = bands.iter().find(|band| bar.is(band.direction, band.to));
            most.and_then(|most| left.iter().position(|bar| bar.is(most.direction, most.from)))
        });
        let mut picture = Self { bands, left, right, height: 0, drawn, rest, is_rest_cut };
        picture.place();
        Some(picture)
    }

    /// Gives every bar and every band its place.
    fn place(&mut self) {
        let heights = (stack(&mut self.left), stack(&mut self.right));
        let most = heights.0.max(heights.1);
        shift(&mut self.left, EDGE + (most - heights.0) / 2);
        shift(&mut self.right, EDGE + (most - heights.1) / 2);
        self.height = most + 2 * EDGE;
        // Bands of one bar lie in the order of their other ends, so that they do not cross.
        let ends: Vec<_> =
            self.bands.iter().map(|band| (band.direction, band.from, band.to)).collect();
        let order = |bars: &[Bar], of: &dyn Fn(&(Direction, End, End)) -> End| {
            let mut order: Vec<usize> = (0..ends.len()).collect();
            order.sort_by_key(|band| {
                let ends = ends.get(*band);
                ends.and_then(|ends| bars.iter().position(|bar| bar.is(ends.0, of(ends))))
            });
            order
        };
        let (by_to, by_from) =
            (order(&self.right, &|ends| ends.2), order(&self.left, &|ends| ends.1));
        for band in by_to {
            let Some(band) = self.bands.get_mut(band) else { continue };
            band.at.0 = take(&mut self.left, (band.direction, band.from), band.height);
        }
        for band in by_from {
            let Some(band) = self.bands.get_mut(band) else { continue };
            band.at.1 = take(&mut self.right, (band.direction, band.to), band.height);
        }
    }
}

impl Bar {
    fn is(&self, direction: Direction, end: End) -> bool {
        (self.direction, self.end) == (direction, end)
    }

    fn room(&self) -> u32 {
        self.height.saturating_add(GAP).max(ROOM_MIN)
    }
}

/// The bars at one end of the bands: the asker's messages first, then the largest; the others come last.
fn bars(bands: &[Band], end: impl Fn(&Band) -> End) -> Vec<Bar> {
    let mut heights: BTreeMap<(Direction, End), u32> = BTreeMap::new();
    for band in bands {
        *heights.entry((band.direction, end(band))).or_default() += band.height;
    }
    let bar = |((direction, end), height)| Bar { direction, end, at: 0, height, taken: 0 };
    let mut bars: Vec<_> = heights.into_iter().map(bar).collect();
    bars.sort_by_key(|bar| {
        (bar.direction, bar.end == End::Others, std::cmp::Reverse(bar.height), bar.end)
    });
    bars
}

/// Puts bars below each other, each in the middle of its room; gives how high they are together.
fn stack(bars: &mut [Bar]) -> u32 {
    let (mut at, mut before) = (0, None);
    for bar in bars {
        if before.is_some_and(|before| before != bar.direction) {
            at += BETWEEN;
        }
        before = Some(bar.direction);
        bar.at = at + (bar.room() - bar.height) / 2;
        at += bar.room();
    }
    at
}

fn shift(bars: &mut [Bar], by: u32) {
    bars.iter_mut().for_each(|bar| bar.at += by);
}

/// Takes a part of a bar; says where it begins.
fn take(bars: &mut [Bar], (direction, end): (Direction, End), height: u32) -> u32 {
    let Some(bar) = bars.iter_mut().find(|bar| bar.is(direction, end)) else { return 0 };
    let at = bar.at + bar.taken;
    bar.taken += height;
    at
}

/// The picture with its caption; for a page.
pub(super) fn flows(
    totals: &BTreeMap<Pair, u64>,
    (asker, answerer): (AreaCode, AreaCode),
) -> String {
    match Picture::new(totals, asker) {
        None => "<p>无往来 Nothing was exchanged.</p>".to_owned(),
        Some(picture) => {
            let caption = picture.caption((asker, answerer));
            format!("<figure>{}<figcaption>{caption}</figcaption></figure>", picture.svg())
        }
    }
}

impl Picture {
    fn svg(&self) -> String {
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"流向 flows between counties\"><g fill-opacity=\".4\">",
            self.height
        );
        for band in &self.bands {
            band.draw(&mut svg);
        }
        svg.push_str(&format!("</g><g font-size=\"{LETTER}\" fill=\"#111\">"));
        let (left, right) = (MARGIN, WIDTH - MARGIN - BAR);
        for bar in &self.left {
            bar.draw(&mut svg, left, (left - 6, "end"));
        }
        for bar in &self.right {
            bar.draw(&mut svg, right, (right + BAR + 6, "start"));
        }
        svg + "</g></svg>"
    }

    /// How much of it is drawn, and what the colours mean.
    fn caption(&self, (asker, answerer): (AreaCode, AreaCode)) -> String {
        let (asker, answerer) = (escape(&name(&asker)), escape(&name(&answerer)));
        let all = self.drawn.pairs + self.rest.pairs;
        let messages = self.drawn.messages.saturating_add(self.rest.messages);
        let how_much = match self.rest.pairs {
            0 => format!("全部 {all} 对、{messages} 件报文。All {all} pairs, {messages} messages."),
            _ => {
                let drawn = self.drawn.pairs;
                // Rounded down: what is not all is not said to be.
                let tenths = self.drawn.messages.saturating_mul(1_000) / messages.max(1);
                let share = format!("{}.{} %", tenths / 10, tenths % 10);
                format!(
                    "图示最大的 {drawn} 对（共 {all} 对），占 {messages} 件报文的 {share}；其余合为灰色。The largest {drawn} of {all} pairs are drawn, {share} of {messages} messages; the rest is grey."
                )
            }
        };
        let cut = match self.is_rest_cut {
            true => " 灰色未按比例。The grey is not to scale.",
            false => "",
        };
        format!("{how_much}{cut}<br>蓝 blue: {asker} → {answerer}；褐 brown: {answerer} → {asker}")
    }
}

const fn colours(direction: Direction, is_others: bool) -> (&'static str, &'static str) {
    match (direction, is_others) {
        (_, true) => ("#888", "#666"),
        (Direction::There, false) => ("#2f6f9f", "#174a6b"),
        (Direction::Back, false) => ("#b5651d", "#7a3f0c"),
    }
}

fn said(end: End) -> String {
    match end {
        End::County(area) => area.to_string(),
        End::Others => "其余 others".to_owned(),
    }
}

impl Band {
    fn draw(&self, svg: &mut String) {
        let Self { direction, from, to, messages, height, at: (a, b) } = *self;
        let (c, d) = (a + height, b + height);
        let (inner, outer, middle) = (MARGIN + BAR, WIDTH - MARGIN - BAR, WIDTH / 2);
        let (from, to, (fill, _)) = (said(from), said(to), colours(direction, from == End::Others));
        // Writing to a text cannot fail.
        let _written = write!(
            svg,
            "<path fill=\"{fill}\" d=\"M{inner} {a}C{middle} {a} {middle} {b} {outer} {b}L{outer} {d}C{middle} {d} {middle} {c} {inner} {c}Z\"><title>{from} → {to}: {messages}</title></path>"
        )
        .is_ok();
    }
}

impl Bar {
    fn draw(&self, svg: &mut String, x: u32, (text, anchor): (u32, &str)) {
        let Self { direction, end, at, height, .. } = *self;
        let (_, fill) = colours(direction, end == End::Others);
        let middle = at + height / 2 + LETTER / 3 + 1;
        let _written = write!(
            svg,
            "<rect x=\"{x}\" y=\"{at}\" width=\"{BAR}\" height=\"{height}\" fill=\"{fill}\"/><text x=\"{text}\" y=\"{middle}\" text-anchor=\"{anchor}\">{}</text>",
            escape(&label(end))
        )
        .is_ok();
    }
}

/// What stands beside a bar: a name, shortened where there is no room for it, and the code, which says which it is.
fn label(end: End) -> String {
    match end {
        End::Others => said(end),
        End::County(area) => format!("{} {}", short(&area), area.county()),
    }
}

fn short(area: &AreaCode) -> String {
    let fits = |name: &str| name.chars().count() <= LABEL;
    let whole = within(area);
    if fits(&whole) {
        return whole;
    }
    let own = AreaTable::builtin().lookup(area).map_or(whole, |area| area.name.to_owned());
    match fits(&own) {
        true => own,
        false => own.chars().take(LABEL - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests;
