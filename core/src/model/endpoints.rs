//! Endpoints: all addresses behind a Service in one object, the form that EndpointSlices have replaced.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Shared;
use crate::id::{Name, Uid};
use crate::model::{Address, Meta, Protocol};

/// The addresses behind the Service of the same name.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Endpoints {
    /// Names and labels.
    pub meta: Meta,
    /// The addresses in groups that have their ports in common; those that people write are kept as they are, others
    /// are in canonical form ([`EndpointSubset::packed`]).
    pub subsets: Vec<EndpointSubset>,
}

/// Addresses that have their ports in common.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct EndpointSubset {
    /// Those that are ready. Each is shared with the versions before and after.
    pub addresses: Vec<Shared<EndpointAddress>>,
    /// Those that are not.
    pub not_ready: Vec<Shared<EndpointAddress>>,
    /// Name, protocol and number of each port.
    pub ports: Vec<(Name, Protocol, u16)>,
}

/// One address.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct EndpointAddress {
    /// The address.
    pub address: Address,
    /// Its own DNS name under the Service.
    pub hostname: Option<Name>,
    /// The node that it is on.
    pub node: Option<Name>,
    /// The object that it belongs to.
    pub target: Option<EndpointTarget>,
}

/// The object that an address belongs to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct EndpointTarget {
    /// Its kind, `Pod` as a rule; empty if it is not said.
    pub kind: Name,
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// Its identity, if it is said.
    pub uid: Option<Uid>,
}

/// What tells addresses apart, in the order in which they are listed: the texts of the addresses, then who has them.
pub type AddressKey = (Address, Option<Uid>);

/// Name, protocol and number of each port.
type Ports = Vec<(Name, Protocol, u16)>;

/// Addresses, and whether each is ready.
type AddressSet = BTreeMap<AddressKey, (bool, Shared<EndpointAddress>)>;

impl EndpointAddress {
    /// What tells it from others.
    ///
    /// Source: `LessEndpointAddress`, pkg/api/v1/endpoints/util.go (v1.34.1).
    pub fn key(&self) -> AddressKey {
        (self.address.clone(), self.target.as_ref().and_then(|target| target.uid))
    }
}

impl EndpointSubset {
    /// How many addresses it has.
    pub fn len(&self) -> usize {
        self.addresses.len() + self.not_ready.len()
    }

    /// Whether it has no address.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same in canonical form: ports with equal addresses stand together, each address once under its ports, not
    /// ready where it is so anywhere under a port; addresses in their order. Subsets are in the order of their ports
    /// here; Kubernetes orders ports and subsets by hashes of Go's dumps of them.
    ///
    /// Source: `RepackSubsets`, pkg/api/v1/endpoints/util.go (v1.34.1).
    pub fn packed(subsets: &[EndpointSubset]) -> Vec<EndpointSubset> {
        let mut first_of: BTreeMap<AddressKey, Shared<EndpointAddress>> = BTreeMap::new();
        // Addresses without any port stand under `None`.
        let mut by_port: BTreeMap<Option<&(Name, Protocol, u16)>, AddressSet> = BTreeMap::new();
        for subset in subsets {
            let ready = subset.addresses.iter().map(|address| (true, address));
            let all: Vec<_> = ready.chain(subset.not_ready.iter().map(|address| (false, address))).collect();
            let portless = subset.ports.is_empty().then_some(None);
            for port in portless.into_iter().chain(subset.ports.iter().map(Some)) {
                for (ready, address) in &all {
                    let key = address.key();
                    let first = first_of.entry(key.clone()).or_insert_with(|| (*address).clone());
                    let set = by_port.entry(port).or_default();
                    let (is_ready, _) = set.entry(key).or_insert_with(|| (true, first.clone()));
                    *is_ready &= *ready;
                }
            }
        }
        let mut groups: Vec<(AddressSet, Ports)> = Vec::new();
        for (port, set) in by_port {
            match groups.iter_mut().find(|(other, _)| *other == set) {
                Some((_, ports)) => ports.extend(port.cloned()),
                None => groups.push((set, port.cloned().into_iter().collect())),
            }
        }
        let subset = |(set, ports): (AddressSet, _)| {
            let (ready, not_ready): (Vec<_>, Vec<_>) = set.into_values().partition(|(ready, _)| *ready);
            let plain = |list: Vec<(bool, Shared<EndpointAddress>)>| list.into_iter().map(|(_, it)| it).collect();
            EndpointSubset { addresses: plain(ready), not_ready: plain(not_ready), ports }
        };
        groups.into_iter().map(subset).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Shared<EndpointAddress> {
        Shared::new(EndpointAddress { address: text.into(), hostname: None, node: None, target: None })
    }

    fn subset(ready: &[&str], not_ready: &[&str], ports: &[u16]) -> EndpointSubset {
        let list = |texts: &[&str]| texts.iter().map(|text| address(text)).collect();
        let ports = ports.iter().map(|port| (Name::default(), Protocol::Tcp, *port)).collect();
        EndpointSubset { addresses: list(ready), not_ready: list(not_ready), ports }
    }

    #[track_caller]
    fn check(subsets: &[EndpointSubset], expected: &[EndpointSubset]) {
        assert_eq!(EndpointSubset::packed(subsets), expected);
        assert_eq!(EndpointSubset::packed(expected), expected, "what is packed stays as it is");
    }

    #[test]
    fn addresses_with_the_same_ports_stand_together_in_order() {
        let apart = [subset(&["10.0.0.9"], &[], &[80]), subset(&["10.0.0.10"], &["10.0.0.3"], &[80])];
        check(&apart, &[subset(&["10.0.0.10", "10.0.0.9"], &["10.0.0.3"], &[80])]);
    }

    #[test]
    fn ports_with_the_same_addresses_stand_together() {
        let apart = [subset(&["10.0.0.1"], &[], &[80]), subset(&["10.0.0.1"], &[], &[443])];
        check(&apart, &[subset(&["10.0.0.1"], &[], &[80, 443])]);
        let apart = [subset(&["10.0.0.1", "10.0.0.2"], &[], &[443, 80]), subset(&["10.0.0.3"], &[], &[80])];
        let together =
            [subset(&["10.0.0.1", "10.0.0.2", "10.0.0.3"], &[], &[80]), subset(&["10.0.0.1", "10.0.0.2"], &[], &[443])];
        check(&apart, &together);
    }

    #[test]
    fn who_is_unready_anywhere_under_a_port_is_unready_under_it() {
        let apart = [subset(&["10.0.0.1"], &[], &[80]), subset(&[], &["10.0.0.1"], &[80, 443])];
        check(&apart, &[subset(&[], &["10.0.0.1"], &[80, 443])]);
        let apart = [subset(&["10.0.0.1"], &[], &[80]), subset(&[], &["10.0.0.1"], &[443])];
        check(&apart, &apart);
    }

    #[test]
    fn an_address_that_two_pods_have_is_listed_twice() {
        let of = |pod: u128| {
            let target = EndpointTarget { uid: Some(Uid::new(pod)), ..EndpointTarget::default() };
            Shared::new(EndpointAddress { target: Some(target), ..EndpointAddress::clone(&address("10.0.0.1")) })
        };
        let nobody_s = address("10.0.0.1");
        let both = EndpointSubset { addresses: vec![of(2), of(1), nobody_s.clone(), of(2)], ..subset(&[], &[], &[80]) };
        check(&[both], &[EndpointSubset { addresses: vec![nobody_s, of(1), of(2)], ..subset(&[], &[], &[80]) }]);
    }

    #[test]
    fn addresses_without_ports_stay() {
        check(
            &[subset(&["10.0.0.2"], &[], &[]), subset(&["10.0.0.1"], &[], &[])],
            &[subset(&["10.0.0.1", "10.0.0.2"], &[], &[])],
        );
        check(&[subset(&[], &[], &[80])], &[]);
    }
}
