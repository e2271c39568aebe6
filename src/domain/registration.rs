//! Registrations (流动人口登记): the residence area keeps them.
