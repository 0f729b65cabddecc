//! Endpoints: all addresses behind a Service in one object, the form that EndpointSlices have replaced.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Shared;
use crate::id::{Name, Uid};
use crate::model::network::dumped_text;
use crate::model::{Address, EndpointPort, Meta};

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
    pub ports: Vec<EndpointPort>,
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

/// The ports of a subset.
type Ports = Vec<EndpointPort>;

/// Addresses, and whether each is ready.
type AddressSet = BTreeMap<AddressKey, (bool, Shared<EndpointAddress>)>;

impl EndpointAddress {
    /// What tells it from others.
    ///
    /// Source: `LessEndpointAddress`, pkg/api/v1/endpoints/util.go (v1.34.1).
    pub fn key(&self) -> AddressKey {
        (self.address.clone(), self.target.as_ref().and_then(|target| target.uid))
    }

    fn dumped(&self) -> String {
        let target = |it: &EndpointTarget| {
            let uid = it.uid.map(|uid| uid.to_string()).unwrap_or_default();
            format!(
                "{{Kind:(string){} Namespace:(string){} Name:(string){} UID:(types.UID){uid} APIVersion:(string) \
                 ResourceVersion:(string) FieldPath:(string)}}",
                it.kind, it.namespace, it.name
            )
        };
        format!(
            "{{IP:(string){} Hostname:(string){} NodeName:{} TargetRef:(*v1.ObjectReference){}}}",
            self.address,
            self.hostname.as_deref().unwrap_or_default(),
            dumped_text(self.node.as_deref()),
            self.target.as_ref().map_or_else(|| "<nil>".to_owned(), target)
        )
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
    /// ready where it is so anywhere under a port; addresses in their order, ports and subsets in that of the digests of
    /// Go's dumps of them.
    ///
    /// Source: `RepackSubsets`, pkg/api/v1/endpoints/util.go (v1.34.1).
    pub fn packed(subsets: &[EndpointSubset]) -> Vec<EndpointSubset> {
        let mut first_of: BTreeMap<AddressKey, Shared<EndpointAddress>> = BTreeMap::new();
        // Addresses without any port stand under `None`.
        let mut by_port: BTreeMap<Option<&EndpointPort>, AddressSet> = BTreeMap::new();
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
        let mut subsets: Vec<EndpointSubset> = groups.into_iter().map(subset).collect();
        subsets.iter_mut().for_each(|subset| EndpointPort::sort_in_subset(&mut subset.ports));
        if subsets.len() > 1 {
            subsets.sort_by_cached_key(|subset| md5::compute(subset.dumped()).0);
        }
        subsets
    }

    /// As Go dumps it.
    ///
    /// Source: `subsetsByHash`, pkg/api/v1/endpoints/util.go; `ForHash`,
    /// staging/src/k8s.io/apimachinery/pkg/util/dump/dump.go (v1.34.1).
    fn dumped(&self) -> String {
        let list =
            |items: Vec<String>| if items.is_empty() { "<nil>".to_owned() } else { format!("[{}]", items.join(" ")) };
        let addresses = |all: &[Shared<EndpointAddress>]| list(all.iter().map(|it| it.dumped()).collect());
        format!(
            "(v1.EndpointSubset){{Addresses:([]v1.EndpointAddress){} NotReadyAddresses:([]v1.EndpointAddress){} \
             Ports:([]v1.EndpointPort){}}}",
            addresses(&self.addresses),
            addresses(&self.not_ready),
            list(self.ports.iter().map(EndpointPort::dumped).collect())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;

    fn address(text: &str) -> Shared<EndpointAddress> {
        Shared::new(EndpointAddress { address: text.into(), hostname: None, node: None, target: None })
    }

    fn subset(ready: &[&str], not_ready: &[&str], ports: &[u16]) -> EndpointSubset {
        let list = |texts: &[&str]| texts.iter().map(|text| address(text)).collect();
        let ports = ports.iter().map(|port| EndpointPort::new("", Protocol::Tcp, *port)).collect();
        EndpointSubset { addresses: list(ready), not_ready: list(not_ready), ports }
    }

    /// Ports and subsets are expected in any order.
    #[track_caller]
    fn check(subsets: &[EndpointSubset], expected: &[EndpointSubset]) {
        let packed = EndpointSubset::packed(subsets);
        assert_eq!(EndpointSubset::packed(&packed), packed, "what is packed stays as it is");
        let mut expected = expected.to_vec();
        expected.iter_mut().for_each(|subset| EndpointPort::sort_in_subset(&mut subset.ports));
        expected.sort_by_cached_key(|subset| md5::compute(subset.dumped()).0);
        assert_eq!(packed, expected);
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

    #[test]
    fn ports_are_in_the_order_of_their_digests_as_recorded() {
        let ports = |pairs: &[(&str, u16)], sort: fn(&mut [EndpointPort])| {
            let mut ports: Vec<_> =
                pairs.iter().map(|(name, number)| EndpointPort::new(*name, Protocol::Tcp, *number)).collect();
            sort(&mut ports);
            ports.iter().map(|port| port.name.to_string()).collect::<Vec<_>>().join(" ")
        };
        // Recorded: service-slices, kubectl-output.
        assert_eq!(ports(&[("a", 8080), ("b", 81)], EndpointPort::sort_in_subset), "b a");
        assert_eq!(ports(&[("s", 443), ("h", 80)], EndpointPort::sort_in_subset), "h s");
        assert_eq!(ports(&[("b", 81), ("a", 8080)], EndpointPort::sort_in_slice), "a b");
        assert_eq!(ports(&[("s", 443), ("h", 80)], EndpointPort::sort_in_slice), "h s");
    }

    #[test]
    fn subsets_are_in_the_order_of_their_digests_as_recorded() {
        let listed = |address: &str, node: &str, pod: &str, uid: u128, port: u16| {
            let kind = "Pod".into();
            let namespace = "s-service-slices".into();
            let target = EndpointTarget { kind, namespace, name: pod.into(), uid: Some(Uid::new(uid)) };
            let node = Some(node.into());
            let address = EndpointAddress { address: address.into(), hostname: None, node, target: Some(target) };
            let ports = vec![EndpointPort::new("", Protocol::Tcp, port)];
            EndpointSubset { addresses: Vec::new(), not_ready: vec![Shared::new(address)], ports }
        };
        // Recorded: service-slices.
        let first = listed("10.200.4.116", "pool-8", "p1", 0xc7c5_ae4f_4137_4e04_a0a7_8d0f_f68a_0e59, 8080);
        let second = listed("10.200.4.117", "pool-5", "p2", 0x2f74_19bc_df24_45a2_bf01_aff9_8e85_30cf, 9090);
        assert_eq!(EndpointSubset::packed(&[second.clone(), first.clone()]), [first, second]);
    }
}
