//! Names in certificates: node and operator names under one private suffix, and the areas in them.
//!
//! | who | name |
//! |---|---|
//! | node of a county | `410522.41.liangdi.internal` |
//! | node of a province | `410000.41.liangdi.internal` |
//! | operator | `alice.operators.410522.41.liangdi.internal` |
//! | constraint of a province's CA | `41.liangdi.internal` |
//!
//! Names are written in lower case and compared byte by byte: a second spelling of a name would be
//! a second name.

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use domain::{
    access::Role,
    area::AreaCode,
    id::{NODE_ITSELF, OperatorName},
};

/// The suffix used where the configuration names no other.
pub const SUFFIX_DEFAULT: &str = "liangdi.internal";
/// Longest suffix, so that every name stays within the 253 characters of DNS.
const SUFFIX_CHARS_MAX: usize = 100;
/// Longest label of DNS (RFC 1035).
const LABEL_CHARS_MAX: usize = 63;
const OPERATORS: &str = "operators";

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The suffix is not a lower-case DNS name of at most 100 characters.
    #[error("the suffix must be a lower-case DNS name of at most {SUFFIX_CHARS_MAX} characters")]
    Suffix,
    /// The name does not end in the suffix of this network.
    #[error("the name is not under the suffix of this network")]
    OtherSuffix,
    /// It is neither `AREA.PROVINCE.SUFFIX` nor `NAME.operators.AREA.PROVINCE.SUFFIX`.
    #[error("the name has the form neither of a node nor of an operator")]
    Shape,
    /// The area is not a code of six digits.
    #[error("the area in the name is not a code of six digits")]
    Area,
    /// The area does not lie in the province that the name gives.
    #[error("the area in the name does not belong to its province")]
    Province,
    /// The operator's name is not a DNS label.
    #[error("an operator's name must be lower-case letters, digits and hyphens")]
    Operator,
    /// The operator has the name under which a node notes in the access log what it does by itself.
    #[error("no operator may be named `{NODE_ITSELF}`")]
    Reserved,
}

/// The private DNS name under which all names of one network lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Suffix(String);

impl Suffix {
    /// The suffix, without a leading dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The one name a node's certificate carries.
    ///
    /// # Errors
    /// [`NameError::Area`] when the code has more than six digits: towns and villages run no node.
    pub fn node(&self, area: AreaCode) -> Result<String, NameError> {
        CertificateName::Node(area).to_dns(self)
    }

    /// The subtree that a province's CA may name, whichever area of the province is given.
    #[must_use]
    pub fn province(&self, area: AreaCode) -> String {
        format!("{}.{}", area.province_prefix(), self.0)
    }

    /// Whether this is the subtree of some province, as [`Suffix::province`] writes it.
    #[must_use]
    pub fn is_province(&self, subtree: &str) -> bool {
        self.province_of(subtree).is_some()
    }

    /// The province whose subtree this is, as [`Suffix::province`] writes it.
    #[must_use]
    pub fn province_of(&self, subtree: &str) -> Option<AreaCode> {
        let prefix = subtree.strip_suffix(&self.0)?.strip_suffix('.')?;
        let area = area_of_six(&format!("{prefix}0000")).ok()?;
        (prefix.len() == 2 && area.province_prefix() == prefix).then_some(area)
    }

    /// Reads a name from a certificate.
    ///
    /// # Errors
    /// [`NameError`]; wildcards, upper case and trailing dots are errors of shape.
    pub fn parse(&self, dns: &str) -> Result<CertificateName, NameError> {
        let labels = dns
            .strip_suffix(&self.0)
            .and_then(|name| name.strip_suffix('.'))
            .ok_or(NameError::OtherSuffix)?;
        let mut labels = labels.rsplit('.');
        let (Some(province), Some(area)) = (labels.next(), labels.next()) else {
            return Err(NameError::Shape);
        };
        let area = area_of_six(area)?;
        if area.province_prefix() != province {
            return Err(NameError::Province);
        }
        match (labels.next(), labels.next(), labels.next()) {
            (None, _, _) => Ok(CertificateName::Node(area)),
            (Some(OPERATORS), Some(name), None) => {
                Ok(CertificateName::Operator { name: operator(name)?, area })
            }
            _ => Err(NameError::Shape),
        }
    }
}

impl Default for Suffix {
    fn default() -> Self {
        Self(SUFFIX_DEFAULT.to_owned())
    }
}

impl FromStr for Suffix {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = text.len() <= SUFFIX_CHARS_MAX && text.split('.').all(is_label);
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError::Suffix) }
    }
}

impl fmt::Display for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom a certificate names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateName {
    /// The node that speaks for an area.
    Node(AreaCode),
    /// A person who works at an area's office.
    Operator {
        /// The person's name at the office.
        name: OperatorName,
        /// The office.
        area: AreaCode,
    },
}

impl CertificateName {
    /// The area of the node, or of the operator's office.
    #[must_use]
    pub fn area(&self) -> AreaCode {
        match self {
            Self::Node(area) | Self::Operator { area, .. } => *area,
        }
    }

    /// The DNS name under a suffix.
    ///
    /// # Errors
    /// [`NameError::Area`], [`NameError::Operator`] or [`NameError::Reserved`] when it cannot be written as one.
    pub fn to_dns(&self, suffix: &Suffix) -> Result<String, NameError> {
        let area = self.area();
        if area.as_str().len() != 6 {
            return Err(NameError::Area);
        }
        let node = format!("{area}.{}", suffix.province(area));
        match self {
            Self::Node(_) => Ok(node),
            Self::Operator { name, .. } if name.is_node() => Err(NameError::Reserved),
            Self::Operator { name, .. } if is_label(name.as_str()) => {
                Ok(format!("{}.{OPERATORS}.{node}", name.as_str()))
            }
            Self::Operator { .. } => Err(NameError::Operator),
        }
    }
}

/// The text of a role in the subject of an operator's certificate (OU).
#[must_use]
pub fn role_text(role: Role) -> &'static str {
    match role {
        Role::Clerk => "clerk",
        Role::Supervisor => "supervisor",
        Role::Administrator => "administrator",
        Role::Auditor => "auditor",
        Role::Collector => "collector",
    }
}

/// The role that [`role_text`] writes as `text`.
#[must_use]
pub fn role_from_text(text: &str) -> Option<Role> {
    const ROLES: [Role; 5] =
        [Role::Clerk, Role::Supervisor, Role::Administrator, Role::Auditor, Role::Collector];
    ROLES.into_iter().find(|role| role_text(*role) == text)
}

fn area_of_six(text: &str) -> Result<AreaCode, NameError> {
    if text.len() != 6 {
        return Err(NameError::Area);
    }
    text.parse().map_err(|_| NameError::Area)
}

fn operator(text: &str) -> Result<OperatorName, NameError> {
    if !is_label(text) {
        return Err(NameError::Operator);
    }
    let name: OperatorName = text.parse().map_err(|_| NameError::Operator)?;
    if name.is_node() { Err(NameError::Reserved) } else { Ok(name) }
}

/// A lower-case DNS label.
fn is_label(text: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= LABEL_CHARS_MAX
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}
