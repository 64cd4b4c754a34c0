//! Where the two sides of a flow find each other's things: what links are translated between.

use super::address::{WebAddress, WebScheme};
use super::{FlowDraft, Scheme, School, Upstream};
use crate::policy::Bases;

/// The bases of a vendor's flows at a school, at their places.
pub(super) fn of(school: &School, flows: &[FlowDraft]) -> Vec<Bases> {
    let bases = flows.iter().map(|flow| Bases {
        public: format!("{}{}", school.public.written(), flow.at.value),
        upstream: address(&flow.upstream.value).written(),
    });
    bases.collect()
}

fn address(upstream: &Upstream) -> WebAddress {
    let scheme = match upstream.scheme {
        Scheme::Http => WebScheme::Http,
        Scheme::Https(_) => WebScheme::Https,
    };
    WebAddress {
        scheme,
        host: upstream.host.clone(),
        port: upstream.port,
        path: upstream.base.clone(),
    }
}
