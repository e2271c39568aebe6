//! Why a peer, an operator or a certificate was refused: stable codes and one line in two languages.

mod convert;

use std::{error::Error, fmt};

use domain::area::AreaCode;

/// One reason why a certificate, a chain or a connection is refused.
///
/// The codes are part of the log format: they never change, new ones may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The other side showed no certificate.
    NoCertificate,
    /// A certificate is not readable DER, or there are far too many of them.
    Malformed,
    /// The chain does not lead to our root, or one of its signatures does not hold.
    WrongAuthority,
    /// The province's CA may not issue for this name, or carries no name constraint of its own.
    WrongProvince,
    /// There is not exactly one CA, the province's, between the certificate and the root.
    WrongChain,
    /// The certificate or its CA's has expired.
    Expired,
    /// The certificate or its CA's is not valid yet.
    NotYetValid,
    /// The certificate or its CA's has been revoked.
    Revoked,
    /// We hold no revocation list of one of the issuers.
    RevocationListMissing,
    /// The revocation list of one of the issuers is past its end and the grace after it.
    RevocationListTooOld,
    /// The revocation list of one of the issuers is not signed by it, or not usable.
    RevocationListInvalid,
    /// The certificate or its CA's is valid for longer than the profile allows, or than its issuer.
    WrongValidity,
    /// The certificate's key usages are not those of the profile.
    WrongUsage,
    /// An operator's certificate where a node's is required.
    OperatorNotNode,
    /// A node's certificate where an operator's is required.
    NodeNotOperator,
    /// The operator's certificate names no role, several, or one that does not exist.
    UnknownRole,
    /// The node is that of another area than the one expected.
    WrongArea {
        /// Whom we meant to speak to.
        expected: AreaCode,
        /// Who is there.
        found: AreaCode,
    },
    /// The certificate does not carry exactly one DNS name of the form of this network.
    BadName,
    /// A key or a signature is not ECDSA P-256 with SHA-256.
    WeakKey,
    /// The other side does not hold the private key of its certificate, or a signature is wrong.
    BadSignature,
    /// The other side refused us: our certificate has expired or is not valid yet by its clock.
    TheyFoundUsExpired,
    /// The other side refused us: our certificate is revoked.
    TheyFoundUsRevoked,
    /// The other side refused us: it does not know our CA, or has no fresh list of it.
    TheyDoNotKnowOurAuthority,
    /// The other side refused us: our certificate is not fit for what we asked, or missing.
    TheyRefusedUs,
    /// The other side does not speak TLS 1.3 with HTTP/2, or broke off.
    Protocol,
}

impl Refused {
    /// Every reason; the area codes of [`Refused::WrongArea`] are the caller's.
    #[must_use]
    pub fn all(expected: AreaCode, found: AreaCode) -> [Self; 25] {
        [
            Self::NoCertificate,
            Self::Malformed,
            Self::WrongAuthority,
            Self::WrongProvince,
            Self::WrongChain,
            Self::Expired,
            Self::NotYetValid,
            Self::Revoked,
            Self::RevocationListMissing,
            Self::RevocationListTooOld,
            Self::RevocationListInvalid,
            Self::WrongValidity,
            Self::WrongUsage,
            Self::OperatorNotNode,
            Self::NodeNotOperator,
            Self::UnknownRole,
            Self::WrongArea { expected, found },
            Self::BadName,
            Self::WeakKey,
            Self::BadSignature,
            Self::TheyFoundUsExpired,
            Self::TheyFoundUsRevoked,
            Self::TheyDoNotKnowOurAuthority,
            Self::TheyRefusedUs,
            Self::Protocol,
        ]
    }

    /// The stable code, for logs and programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.entry().0
    }

    /// One line in English that says what is wrong and who can mend it.
    #[must_use]
    pub fn text_en(&self) -> &'static str {
        self.entry().1
    }

    /// The same in Chinese.
    #[must_use]
    pub fn text_zh(&self) -> &'static str {
        self.entry().2
    }

    fn entry(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::NoCertificate => (
                "NO_CERTIFICATE",
                "a certificate of this network is required and none was shown",
                "必须出示本网络的证书，对方未出示",
            ),
            Self::Malformed => (
                "CERTIFICATE_MALFORMED",
                "the certificate cannot be read: ask its holder for a new one",
                "证书无法解析：请持有方重新申请证书",
            ),
            Self::WrongAuthority => (
                "WRONG_AUTHORITY",
                "the certificate does not come from our root: both sides must use the same root.pem",
                "证书不是由本网络根机构签发：双方必须使用同一 root.pem",
            ),
            Self::WrongProvince => (
                "WRONG_PROVINCE",
                "the certificate was issued by the CA of another province, or by one without a name constraint",
                "证书由其他省的机构签发，或签发机构没有名称约束",
            ),
            Self::WrongChain => (
                "WRONG_CHAIN",
                "the chain must be exactly: certificate, CA of its province, root",
                "证书链必须为：证书、本省签发机构、根机构",
            ),
            Self::Expired => (
                "CERTIFICATE_EXPIRED",
                "the certificate has expired: its holder must renew it; if it looks valid, compare the clocks",
                "证书已过期：请持有方换发；若看似有效，请核对双方时钟",
            ),
            Self::NotYetValid => (
                "CERTIFICATE_NOT_YET_VALID",
                "the certificate is not valid yet: compare the clocks of both sides",
                "证书尚未生效：请核对双方时钟",
            ),
            Self::Revoked => (
                "CERTIFICATE_REVOKED",
                "the certificate or its province's CA has been revoked: speak with the authority that issued it",
                "证书或其省级签发机构已被吊销：请联系签发机构",
            ),
            Self::RevocationListMissing => (
                "REVOCATION_LIST_MISSING",
                "we hold no revocation list of the issuer: fetch its current list",
                "本节点没有签发机构的吊销列表：请获取最新列表",
            ),
            Self::RevocationListTooOld => (
                "REVOCATION_LIST_TOO_OLD",
                "our revocation list of the issuer is past its end and grace: fetch its current list",
                "本节点的吊销列表已超过有效期和宽限期：请获取最新列表",
            ),
            Self::RevocationListInvalid => (
                "REVOCATION_LIST_INVALID",
                "our revocation list of the issuer is not signed by it: replace it",
                "本节点的吊销列表签名不正确：请更换",
            ),
            Self::WrongValidity => (
                "WRONG_VALIDITY",
                "the certificate or its CA's is valid for longer than the profile allows, or beyond its issuer's end",
                "证书或其签发机构证书的有效期超过规范上限，或晚于其上级证书的截止时间",
            ),
            Self::WrongUsage => (
                "WRONG_USAGE",
                "the key usages of the certificate are not those of the profile for this purpose",
                "证书的密钥用途不符合本用途的规范",
            ),
            Self::OperatorNotNode => (
                "OPERATOR_NOT_NODE",
                "an operator's certificate cannot be used where a node's is required",
                "此处须使用节点证书，不能使用操作员证书",
            ),
            Self::NodeNotOperator => (
                "NODE_NOT_OPERATOR",
                "a node's certificate cannot be used where an operator's is required",
                "此处须使用操作员证书，不能使用节点证书",
            ),
            Self::UnknownRole => (
                "UNKNOWN_ROLE",
                "the operator's certificate does not name exactly one known role",
                "操作员证书未载明唯一有效的角色",
            ),
            Self::WrongArea { .. } => (
                "WRONG_AREA",
                "the node that answered belongs to another area: check the endpoint in the directory",
                "应答节点属于其他地区：请核对名录中的地址",
            ),
            Self::BadName => (
                "BAD_NAME",
                "the certificate must carry exactly one DNS name, of the form of this network, without wildcards",
                "证书必须且只能含有一个符合本网络格式的 DNS 名称，不得使用通配符",
            ),
            Self::WeakKey => (
                "WEAK_KEY",
                "keys and signatures must be ECDSA P-256 with SHA-256: ask for a certificate on such a key",
                "密钥和签名必须为 ECDSA P-256 与 SHA-256：请以此类密钥申请证书",
            ),
            Self::BadSignature => (
                "BAD_SIGNATURE",
                "the signature does not hold: the sender does not have the key of its certificate, or the bytes were changed",
                "签名不成立：对方没有证书对应的私钥，或内容被改动",
            ),
            Self::TheyFoundUsExpired => (
                "PEER_SAYS_EXPIRED",
                "the other side says that our certificate has expired: renew it, and compare the clocks",
                "对方认为我方证书已过期：请换发证书并核对时钟",
            ),
            Self::TheyFoundUsRevoked => (
                "PEER_SAYS_REVOKED",
                "the other side says that our certificate has been revoked: speak with our authority",
                "对方认为我方证书已被吊销：请联系我方签发机构",
            ),
            Self::TheyDoNotKnowOurAuthority => (
                "PEER_SAYS_UNKNOWN_AUTHORITY",
                "the other side does not know our CA or has no fresh revocation list of it",
                "对方不认识我方签发机构，或没有其最新吊销列表",
            ),
            Self::TheyRefusedUs => (
                "PEER_REFUSED_US",
                "the other side refused our certificate: its log has the reason",
                "对方拒绝了我方证书：原因见对方日志",
            ),
            Self::Protocol => (
                "NOT_TLS13",
                "the other side does not speak TLS 1.3 with HTTP/2, or broke off: check the address and what stands between",
                "对方不支持 TLS 1.3 与 HTTP/2，或连接中断：请检查地址及中间设备",
            ),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text_en())?;
        if let Self::WrongArea { expected, found } = self {
            write!(f, "; expected {expected}, found {found}")?;
        }
        write!(f, " ({})", self.code())
    }
}

impl Error for Refused {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn all() -> [Refused; 25] {
        Refused::all("410522".parse().unwrap(), "440305".parse().unwrap())
    }

    #[test]
    fn codes_are_unique_and_both_languages_there() {
        let codes: HashSet<_> = all().iter().map(Refused::code).collect();
        assert_eq!(codes.len(), all().len());
        for refused in all() {
            assert!(refused.text_en().is_ascii() && refused.text_en().len() > 20);
            assert!(refused.text_zh().chars().any(|c| c > '\u{4e00}'));
            assert!(!refused.to_string().contains('\n'));
            assert!(refused.to_string().contains(refused.code()));
        }
    }

    #[test]
    fn a_wrong_area_names_both() {
        let text = Refused::WrongArea {
            expected: "410522".parse().unwrap(),
            found: "440305".parse().unwrap(),
        }
        .to_string();
        assert!(text.contains("expected 410522, found 440305"), "{text}");
    }
}
