//! Just enough DER to write certificates that no encoder would.

/// One value: tag, length, content.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let significant = length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1);
    let length = &length[significant..];
    if content.len() >= 0x80 {
        out.push(0x80 | u8::try_from(length.len()).unwrap());
    }
    out.extend_from_slice(length);
    out.extend_from_slice(content);
    out
}

pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub fn set(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x31, &parts.concat())
}

/// The bytes as they are, whatever number that makes.
pub fn integer(bytes: &[u8]) -> Vec<u8> {
    tlv(0x02, bytes)
}

pub fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], bytes].concat())
}

pub fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(0x04, bytes)
}

pub fn utf8(text: &str) -> Vec<u8> {
    tlv(0x0c, text.as_bytes())
}

pub fn yes() -> Vec<u8> {
    tlv(0x01, &[0xff])
}

pub fn oid(dotted: &str) -> Vec<u8> {
    let mut arcs = dotted.split('.').map(|arc| arc.parse::<u64>().unwrap());
    let first = arcs.next().unwrap() * 40 + arcs.next().unwrap();
    let mut out = Vec::new();
    for arc in std::iter::once(first).chain(arcs) {
        let mut groups = vec![u8::try_from(arc & 0x7f).unwrap()];
        let mut rest = arc >> 7;
        while rest > 0 {
            groups.push(0x80 | u8::try_from(rest & 0x7f).unwrap());
            rest >>= 7;
        }
        out.extend(groups.into_iter().rev());
    }
    tlv(0x06, &out)
}

/// A time, in seconds since 1970, as certificates write it.
pub fn time(seconds: i64) -> Vec<u8> {
    let at = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    let date = format!("{:02}{:02}", u8::from(at.month()), at.day());
    let clock = format!("{:02}{:02}{:02}Z", at.hour(), at.minute(), at.second());
    if (1950..2050).contains(&at.year()) {
        tlv(0x17, format!("{:02}{date}{clock}", at.year() % 100).as_bytes())
    } else {
        tlv(0x18, format!("{:04}{date}{clock}", at.year()).as_bytes())
    }
}
