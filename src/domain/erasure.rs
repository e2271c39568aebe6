//! Erasing a person (PIPL article 47): on which ground, what stands against it, and what stays.

use crate::numbered::numbered;

numbered! {
    /// Why what is held of a person is erased: the cases of PIPL article 47.
    pub enum ErasureGround {
        /// Its purpose is fulfilled, cannot be fulfilled, or does not need it any more (item 1).
        PurposeOver = 1, "PURPOSE_OVER", "处理目的已实现或不再必要";
        /// The time for which it may be kept is over (item 2).
        PeriodOver = 2, "PERIOD_OVER", "保存期限届满";
        /// The person has withdrawn her consent (item 3).
        ConsentWithdrawn = 3, "CONSENT_WITHDRAWN", "本人撤回同意";
        /// It was collected or used against the law or an agreement (item 4).
        Unlawful = 4, "UNLAWFUL", "违法或违约处理";
    }
}

numbered! {
    /// What has to come to its end before a person is erased.
    pub enum ErasureHold {
        /// She is registered as living here: the office has to know it.
        Registered = 1, "REGISTERED", "登记为现居住本地";
        /// She holds a certificate of this county that is in force.
        CertificateValid = 2, "CERTIFICATE_VALID", "持有本地签发的有效证明";
        /// Somebody has to act in a case about her, in which this office has a side.
        CaseOpen = 3, "CASE_OPEN", "有未办结的个案";
        /// A message about her has not arrived yet, or needs somebody.
        MailWaiting = 4, "MAIL_WAITING", "有未送达的通报";
        /// A county has not said yet that it has deleted what it had under a consent or request of hers.
        WithdrawalOpen = 5, "WITHDRAWAL_OPEN", "撤回尚未得到对方确认";
        /// A consent or request of hers stands, so that other counties keep what they have: it is withdrawn first.
        ConsentStands = 6, "CONSENT_STANDS", "同意或服务申请仍然有效";
    }
}

numbered! {
    /// What stays when a person is erased.
    pub enum ErasureRest {
        /// That messages were exchanged: headers, hashes, ledger and receipts, without content, for at least three years.
        Transfers = 1, "TRANSFERS", "传输记录（不含内容），不少于三年";
        /// The access log, under a keyed hash of her document, for at least six months.
        AccessLog = 2, "ACCESS_LOG", "查阅日志（仅证件的带密钥散列），不少于六个月";
        /// Backups: what is hers in them cannot be read once the next backup is made.
        Backups = 3, "BACKUPS", "旧备份，下一次备份后即不能读出";
        /// What other counties hold, which is theirs to erase.
        Counties = 4, "COUNTIES", "其他地区持有的内容，由其删除";
    }
}
