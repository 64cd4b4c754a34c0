//! What the tests and the fuzz targets of the guard share: feeding it in pieces, a second reading
//! of what it lets pass, and hyper's.

pub(crate) mod feed;
pub(crate) mod hyper;
pub(crate) mod naive;
