//! Keys tell what they are about, sort as they must, and no name reaches into another's.

use super::*;

#[test]
fn a_deliverys_key_tells_the_delivery() {
    let tenant = TenantId::parse("noor-pharmacy").unwrap();
    let at = Timestamp::from_millis(1_795_000_000_000);
    for id in ["src_001613.ep_0123456789ABCDEF", "a:b.ep_1.rpl_01JD3ZK8Q000000001"] {
        let id = DeliveryId::parse(id).unwrap();
        assert_eq!(delivery_of(&delivery(&tenant, &id, at, 4)), Some((tenant.clone(), id)));
    }
}

#[test]
fn own_and_minted_events_sort_together_by_time() {
    let tenant = TenantId::parse("acme").unwrap();
    let at = |ms: i64| Timestamp::from_millis(1_795_000_000_000 + ms);
    let minted = |ms| event(&tenant, &EventId::mint(at(ms), 0, 7)).sk;
    let own = |ms| time_row(&tenant, 0, at(ms), &EventId::parse("src_1").unwrap()).sk;
    let sorted = [minted(0), own(1), minted(2), own(3)];
    assert!(sorted.is_sorted(), "{sorted:?}");
    assert_eq!(event_of(&own(1)), Some((EventId::parse("src_1").unwrap(), true)));
    assert_eq!(event_of(&minted(0)), Some((EventId::mint(at(0), 0, 7), false)));
}

#[test]
fn no_tenant_reaches_into_another_by_its_name() {
    // The separator cannot be written in a name, so no pair of names gives one key.
    for name in ["a/b", "a/", "/", "a~b"] {
        assert!(
            TenantId::parse(name).is_err() && EventId::parse(name).is_err(),
            "{name}"
        );
    }
}
