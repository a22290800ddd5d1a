//! Whose a request is: the client's address, and how many connections each has.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::HeaderMap;

use crate::structures::ShardedMap;

const SHARDS: usize = 16;

pub const FORWARDED_FOR: &str = "x-forwarded-for";

/// The proxies whose `X-Forwarded-For` is believed.
pub struct Proxies(Vec<IpAddr>);

/// Places by client address, or bytes.
pub struct Addresses {
    limit: usize,
    counts: ShardedMap<IpAddr, Arc<AtomicUsize>>,
}

/// One place of an address's, or several; given back when dropped.
pub struct Place {
    addresses: Arc<Addresses>,
    address: IpAddr,
    size: usize,
}

impl Proxies {
    pub fn new(trusted: &[IpAddr]) -> Self {
        Self(trusted.iter().map(IpAddr::to_canonical).collect())
    }

    pub fn is_trusted(&self, peer: IpAddr) -> bool {
        self.0.contains(&peer.to_canonical())
    }

    /// The client a request comes from: the peer, or, where that is a trusted proxy, the last address of
    /// `X-Forwarded-For` that is not itself one. What stands before something that is no address is only claimed.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.is_trusted(peer) {
            return peer;
        }
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        let last = hops.find_map(|hop| match parse(hop) {
            Some(address) if self.is_trusted(address) => None,
            None if hop.is_empty() => None,
            address => Some(address),
        });
        last.flatten().unwrap_or(peer)
    }
}

impl Addresses {
    /// `limit`: places an address.
    pub fn new(limit: usize) -> Self {
        Self { limit, counts: ShardedMap::new(SHARDS) }
    }

    /// A place for one more of this address, unless it has as many as it may.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        self.take(address, 1)
    }

    /// `size` places at once, at most as many as an address may have. An IPv6 client counts by its /64, which is what one
    /// household or machine is given.
    pub fn take(self: &Arc<Self>, address: IpAddr, size: usize) -> Option<Place> {
        let address = match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
            v4 @ IpAddr::V4(_) => v4,
        };
        let below = |count: usize| (size <= self.limit - count).then_some(count + size);
        // Counted under the shard's lock: an entry that is removed as unused cannot be counted up at the same instant.
        let entered = self.counts.get_or_try_insert_with(
            address,
            || Ok::<_, std::convert::Infallible>(Arc::default()),
            |count| count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).is_ok(),
        );
        let Ok(entered) = entered;
        entered.then(|| Place { addresses: Arc::clone(self), address, size })
    }
}

/// An address as proxies write it, some of them with a port.
fn parse(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?;
    hop.parse().ok().or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()))
}

impl Drop for Place {
    fn drop(&mut self) {
        let counts = &self.addresses.counts;
        counts.read(&self.address, |count| count.fetch_sub(self.size, Ordering::Relaxed));
        counts.remove_if(&self.address, |count| count.load(Ordering::Relaxed) == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(limit: usize) -> Arc<Addresses> {
        Arc::new(Addresses::new(limit))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_bounded_an_address_and_come_back() {
        let addresses = addresses(2);
        let first = addresses.enter(ip("10.0.0.1")).unwrap();
        let _second = addresses.enter(ip("::ffff:10.0.0.1")).expect("the same client over IPv6");
        assert!(addresses.enter(ip("10.0.0.1")).is_none());
        assert!(addresses.enter(ip("10.0.0.2")).is_some());
        drop(first);
        assert!(addresses.enter(ip("10.0.0.1")).is_some());
        let both = addresses.take(ip("10.0.0.3"), 2).unwrap();
        assert!(addresses.enter(ip("10.0.0.3")).is_none());
        drop(both);
        assert!(addresses.take(ip("10.0.0.3"), 2).is_some(), "all of them come back");
    }

    #[test]
    fn an_ipv6_client_counts_by_its_network() {
        let addresses = addresses(1);
        let place = addresses.enter(ip("2001:db8:1:2::3")).unwrap();
        assert!(addresses.enter(ip("2001:db8:1:2:ffff::4")).is_none());
        assert!(addresses.enter(ip("2001:db8:1:3::3")).is_some());
        drop(place);
        assert!(addresses.counts.is_empty(), "unused entries go");
    }

    #[test]
    fn only_a_trusted_proxy_speaks_for_others() {
        let proxies = Proxies::new(&[ip("10.0.0.1"), ip("10.0.0.2")]);
        let mut headers = HeaderMap::new();
        assert_eq!(proxies.client(ip("10.0.0.1"), &headers), ip("10.0.0.1"));
        headers.append(FORWARDED_FOR, "6.6.6.6, 1.2.3.4".parse().unwrap());
        headers.append(FORWARDED_FOR, "10.0.0.2".parse().unwrap());
        assert_eq!(proxies.client(ip("10.0.0.1"), &headers), ip("1.2.3.4"), "the last hop that is no proxy of ours");
        assert_eq!(proxies.client(ip("9.9.9.9"), &headers), ip("9.9.9.9"));
    }
    #[test]
    fn what_is_no_address_ends_what_is_believed() {
        let proxies = Proxies::new(&[ip("10.0.0.1"), ip("10.0.0.2")]);
        let client = |value: &[u8]| {
            let headers = HeaderMap::from_iter([(
                FORWARDED_FOR.parse().unwrap(),
                hyper::header::HeaderValue::from_bytes(value).unwrap(),
            )]);
            proxies.client(ip("10.0.0.1"), &headers)
        };
        for hops in ["6.6.6.6, 1.2.3.4:5555", "6.6.6.6,1.2.3.4 ,", "6.6.6.6, 1.2.3.4:5555, 10.0.0.2:80"] {
            assert_eq!(client(hops.as_bytes()), ip("1.2.3.4"), "{hops}");
        }
        assert_eq!(client(b"6.6.6.6, [2001:db8::1]:443"), ip("2001:db8::1"));
        for hops in [&b"6.6.6.6, unknown"[..], b"6.6.6.6, _hidden, 10.0.0.2", b"6.6.6.6, \xe9", b"1.2.3.4.5", b""] {
            assert_eq!(client(hops), ip("10.0.0.1"), "{hops:?}");
        }
        assert_eq!(client(b"\xe9, 1.2.3.4"), ip("1.2.3.4"));
    }
}
