//! Where the two sides of a flow find each other's things: what links are translated between.

use std::sync::Arc;

use super::address::{WebAddress, WebScheme};
use super::{Scheme, School, Upstream, Vendor};
use crate::policy::Bases;

/// Gives the policy of a vendor its bases; its flows are reached under these paths.
pub(super) fn give(vendor: &mut Vendor, school: &School, paths: &[String]) {
    let flows = vendor.flows.iter().zip(paths);
    let bases = flows.map(|(flow, at)| Bases {
        public: format!("{}{at}", written(&school.public)),
        upstream: written(&address(&flow.upstream)),
    });
    let bases = bases.collect();
    // Nobody else has the law of a vendor that is being read.
    if let Some(law) = Arc::get_mut(&mut vendor.law) {
        law.policy.bases = bases;
    }
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

fn written(address: &WebAddress) -> String {
    let scheme = match address.scheme {
        WebScheme::Http => "http",
        WebScheme::Https => "https",
    };
    format!("{scheme}://{}{}", address.authority(), address.path)
}
