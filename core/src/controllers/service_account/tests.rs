use super::*;
use crate::api::Propagation;
use crate::config::Config;
use crate::model::{ConfigMap, Labels, ObjectKey, ROOT_CERTIFICATE};
use crate::testbed::Testbed;
use crate::time::Span;

fn bed() -> Testbed {
    let mut bed = Testbed::new(Config::default());
    bed.create(Namespace::named("shop"));
    bed.run_for(Span::from_secs(1));
    bed
}

fn delete(bed: &mut Testbed, key: ObjectKey) {
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
}

#[test]
fn a_namespace_gets_an_account_and_a_certificate_and_gets_them_again_when_they_are_deleted() {
    let mut bed = bed();
    let account = bed.get::<ServiceAccount>("shop", "default").expect("the account is made");
    let certificate = bed.get::<ConfigMap>("shop", &ROOT_CERTIFICATE).expect("the certificate is published");
    assert!(certificate.data.get("ca.crt").is_some());
    delete(&mut bed, ObjectKey::new(Kind::ServiceAccount, "shop", "default"));
    delete(&mut bed, ObjectKey::new(Kind::ConfigMap, "shop", &ROOT_CERTIFICATE));
    bed.run_for(Span::from_secs(1));
    let again = bed.get::<ServiceAccount>("shop", "default").expect("the account is made again");
    assert_ne!(again.meta.uid, account.meta.uid);
    let again = bed.get::<ConfigMap>("shop", &ROOT_CERTIFICATE).expect("the certificate is published again");
    assert_eq!((&again.data, again.meta.uid != certificate.meta.uid), (&certificate.data, true));
}

#[test]
fn a_certificate_that_somebody_changes_is_set_right() {
    let mut bed = bed();
    let published = bed.get::<ConfigMap>("shop", &ROOT_CERTIFICATE).expect("the certificate is published");
    let forged = ConfigMap { data: Labels::new([("ca.crt", "mine")]), ..ConfigMap::clone(&published) };
    bed.request(Request::Update { object: Object::ConfigMap(Arc::new(forged)), expected: None });
    bed.run_for(Span::from_secs(1));
    let now = bed.get::<ConfigMap>("shop", &ROOT_CERTIFICATE).expect("the certificate is there");
    assert_eq!((&now.data, now.meta.uid), (&published.data, published.meta.uid));
}

#[test]
fn a_namespace_that_goes_takes_them_along_for_good() {
    let mut bed = bed();
    delete(&mut bed, ObjectKey::new(Kind::Namespace, "", "shop"));
    bed.run_for(Span::from_secs(20));
    assert!(bed.get::<Namespace>("", "shop").is_none());
    assert!(bed.get::<ServiceAccount>("shop", "default").is_none());
    assert!(bed.get::<ConfigMap>("shop", &ROOT_CERTIFICATE).is_none());
}
