//! Opening, closing and expiry: what stays in the folder and what does not.

use std::future::poll_fn;
use std::task::Poll;

use aws_sdk_dynamodb::types::AttributeValue;
use redial_domain::Timestamp;
use tempfile::TempDir;

use super::tests::{TABLE, get, on_disk, put_new, stored, text};
use super::*;

#[tokio::test]
async fn everything_acknowledged_is_there_after_closing_and_opening_again() {
    let folder = TempDir::new().unwrap();
    // So many writes that a checkpoint lies in between, and a part that only the log holds.
    for round in 0..3 {
        let (dynamo, client) = on_disk(folder.path()).await;
        let puts = (0..200).map(|i| put_new(&client, format!("item-{round}-{i}"), "x".repeat(20_000)));
        assert!(futures_util::future::join_all(puts).await.iter().all(Result::is_ok));
        assert!(dynamo.health().is_none());
    }
    let (_dynamo, client) = on_disk(folder.path()).await;
    for name in (0..3).flat_map(|round| (0..200).map(move |i| format!("item-{round}-{i}"))) {
        assert!(get(&client, &name).await.is_some(), "{name} is lost");
    }
}

#[tokio::test]
async fn what_is_written_is_copied_from_the_log_while_the_database_is_open() {
    let folder = TempDir::new().unwrap();
    let (_dynamo, client) = on_disk(folder.path()).await;
    let database = || std::fs::metadata(folder.path().join(DATABASE_FILE)).unwrap().len();
    let made = database();
    // Some 7 MB, far less than what a commit copies itself.
    let puts = (0..=AFTER_WRITES).map(|i| put_new(&client, format!("item-{i}"), "x".repeat(50_000)));
    assert!(futures_util::future::join_all(puts).await.iter().all(Result::is_ok));
    // Nobody says when it is done.
    tokio::time::timeout(std::time::Duration::from_secs(60), async {
        while database() < made + 5_000_000 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

/// Names and modes of what lies in a folder.
#[cfg(unix)]
fn modes(folder: &std::path::Path) -> std::collections::BTreeMap<String, u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let files = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mode = |file: std::fs::DirEntry| {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        (file.file_name().into_string().unwrap(), mode)
    };
    files.map(mode).collect()
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_stored_is_its_owners_alone_also_in_a_folder_that_everybody_sees() {
    use std::os::unix::fs::PermissionsExt as _;
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let folder = TempDir::new().unwrap();
    set(folder.path(), 0o755);
    for opened in ["made", "made by a release that left it to the umask"] {
        let (_dynamo, client) = on_disk(folder.path()).await;
        put_new(&client, opened, "secret").await.unwrap();
        let found = modes(folder.path());
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        let expected = [
            "dynamodb.lock",
            "dynamodb.sqlite",
            "dynamodb.sqlite-shm",
            "dynamodb.sqlite-wal",
        ];
        assert_eq!(names, expected, "{opened}");
        assert!(found.values().all(|mode| *mode == 0o600), "{opened}: {found:?}");
        drop((client, _dynamo));
        for name in modes(folder.path()).keys() {
            set(&folder.path().join(name), 0o644);
        }
    }
}

#[tokio::test]
async fn closing_waits_for_what_is_under_way() {
    let folder = TempDir::new().unwrap();
    let (dynamo, client) = on_disk(folder.path()).await;
    let mut puts: Vec<_> = (0..20)
        .map(|i| Box::pin(put_new(&client, format!("cancelled-{i}"), "1")))
        .collect();
    // One poll sends each request; the callers then go away, and the last owners with them. On a busy machine one may be
    // answered within its poll: not all twenty, because a sync lies between.
    let mut waiting = 0;
    for put in &mut puts {
        waiting += u8::from(poll_fn(|context| Poll::Ready(put.as_mut().poll(context).is_pending())).await);
    }
    assert!(waiting > 0);
    drop(puts);
    drop((client, dynamo));
    let (_dynamo, client) = on_disk(folder.path()).await;
    for i in 0..20 {
        assert!(get(&client, &format!("cancelled-{i}")).await.is_some(), "{i} is lost");
    }
}

#[tokio::test]
async fn expired_items_go_at_the_callers_time_and_the_others_stay() {
    let folder = TempDir::new().unwrap();
    let (dynamo, client) = on_disk(folder.path()).await;
    let now_s: i64 = 1_800_000_000;
    let number = |n: i64| AttributeValue::N(n.to_string());
    let six_years_s = 6 * 365 * 24 * 60 * 60;
    let items = (0..300)
        .map(|i| (format!("expired-{i}"), vec![("expires", number(now_s - 1 - i))]))
        .chain([
            ("later".into(), vec![("expires", number(now_s + 1))]),
            ("this-second".into(), vec![("expires", number(now_s))]),
            ("never".into(), vec![]),
            ("not-a-number".into(), vec![("expires", text("1"))]),
            ("a-mistake".into(), vec![("expires", number(now_s - six_years_s))]),
        ]);
    for (pk, attributes) in items {
        client
            .put_item()
            .table_name(TABLE)
            .set_item(Some(stored(&pk, &attributes)))
            .send()
            .await
            .unwrap();
    }
    assert_eq!(
        dynamo
            .sweep_ttl(Timestamp::from_millis((now_s - 1000) * 1000))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        dynamo.sweep_ttl(Timestamp::from_millis(now_s * 1000)).await.unwrap(),
        300
    );
    assert_eq!(dynamo.sweep_ttl(Timestamp::from_millis(now_s * 1000)).await.unwrap(), 0);
    let left = client.scan().table_name(TABLE).send().await.unwrap();
    assert_eq!(left.count(), 5);
}

#[tokio::test]
async fn a_second_process_is_told_that_the_folder_is_in_use() {
    let folder = TempDir::new().unwrap();
    let first = Dynamo::open(folder.path()).unwrap();
    assert!(matches!(Dynamo::open(folder.path()), Err(OpenError::InUse { .. })));
    drop(first);
    Dynamo::open(folder.path()).unwrap();
}

#[test]
fn what_cannot_be_opened_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let error = Dynamo::open(&file.join("data")).unwrap_err();
    assert!(matches!(error, OpenError::Folder { .. }));
    assert!(error.to_string().contains("file/data"), "{error}");

    std::fs::write(
        folder.path().join(DATABASE_FILE),
        "this is no SQLite database, and long enough to be seen",
    )
    .unwrap();
    assert!(matches!(Dynamo::open(folder.path()), Err(OpenError::Database { .. })));
    let untouched = std::fs::read(folder.path().join(DATABASE_FILE)).unwrap();
    assert!(untouched.starts_with(b"this is no SQLite"));
}
