//! What is asked of the table.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row as Found, Transaction};

use super::in_time;
use crate::limits;
use crate::pseudonym::Lookup;
use crate::store::backend::{Damage, Fault, Mark, NewRow, Row};

/// `on` is what PostgreSQL calls durable; a server may be set to less. The number is only ours.
const BEGIN: &str = "
    SET LOCAL synchronous_commit = on;
    SET LOCAL idle_in_transaction_session_timeout = '10s';
    SELECT pg_advisory_xact_lock(495791306099)";
const INSERT: &str = "
    INSERT INTO sluis_register (school, kind, lookup, sealed, day)
    SELECT school, kind, lookup, sealed, day
    FROM unnest($1, $2, $3, $4, $5, $6) AS new (school, kind, lookup, spelling, sealed, day)
    ON CONFLICT (school, lookup) DO NOTHING";
/// For rows whose lookup another spelling of their identifier has.
const INSERT_SPELLINGS: &str = "
    INSERT INTO sluis_register (school, kind, lookup, sealed, day)
    SELECT new.school, new.kind, new.spelling, new.sealed, new.day
    FROM unnest($1, $2, $3, $4, $5, $6) AS new (school, kind, lookup, spelling, sealed, day)
    JOIN sluis_register AS old ON old.school = new.school AND old.lookup = new.lookup
    WHERE old.sealed <> new.sealed
    ON CONFLICT (school, lookup) DO NOTHING";
/// Texts as they lie there: of one that is none in our encoding, as only a database that knows of
/// none takes in, a server refuses the whole page.
const SELECT: &str = "
    SELECT number, convert_to(school, getdatabaseencoding()),
        convert_to(kind, getdatabaseencoding()), lookup, sealed, day
    FROM sluis_register WHERE number >= $1 ORDER BY number LIMIT $2";
/// Rows of one answer.
const PAGE_ROWS: u32 = 10_000;

/// Appends the rows in one transaction.
pub(super) async fn append(client: &mut Client, rows: &[NewRow<'_>]) -> Result<(), Fault> {
    let transaction = in_time(async {
        let transaction = client.transaction().await?;
        transaction.batch_execute(BEGIN).await?;
        Ok(transaction)
    });
    let transaction = transaction.await?;
    for part in rows.chunks(limits::REGISTER_COMMIT_ROWS) {
        in_time(insert(&transaction, part)).await?;
    }
    in_time(async { Ok(transaction.commit().await?) }).await
}

async fn insert(transaction: &Transaction<'_>, rows: &[NewRow<'_>]) -> Result<(), Fault> {
    let schools: Vec<_> = rows.iter().map(|row| row.school.as_str()).collect();
    let kinds: Vec<_> = rows.iter().map(|row| row.kind).collect();
    let lookups: Vec<_> = rows.iter().map(|row| row.lookup.as_slice()).collect();
    let spellings: Vec<_> = rows
        .iter()
        .map(|row| row.spelling.as_ref().map(<[u8; 16]>::as_slice))
        .collect();
    let sealed: Vec<_> = rows.iter().map(|row| row.sealed.as_slice()).collect();
    let days: Vec<_> = rows
        .iter()
        .map(|row| i32::try_from(row.day).unwrap_or(i32::MAX))
        .collect();
    let columns: [(&(dyn ToSql + Sync), Type); 6] = [
        (&schools, Type::TEXT_ARRAY),
        (&kinds, Type::TEXT_ARRAY),
        (&lookups, Type::BYTEA_ARRAY),
        (&spellings, Type::BYTEA_ARRAY),
        (&sealed, Type::BYTEA_ARRAY),
        (&days, Type::INT4_ARRAY),
    ];
    let inserted = transaction.execute_typed(INSERT, &columns).await?;
    if inserted < u64::try_from(rows.len()).unwrap_or(u64::MAX) {
        transaction
            .execute_typed(INSERT_SPELLINGS, &columns)
            .await?;
    }
    Ok(())
}

/// Reads all rows behind a mark, page by page; the row of the mark must be there still.
pub(super) async fn read(
    client: &Client,
    after: Mark,
    each: &mut dyn FnMut(Row<'_>),
) -> Result<(), Fault> {
    let mut from = i64::try_from(after.number).unwrap_or(i64::MAX);
    let mut seen = after;
    loop {
        let columns: [(&(dyn ToSql + Sync), Type); 2] =
            [(&from, Type::INT8), (&i64::from(PAGE_ROWS), Type::INT8)];
        let page = in_time(async { Ok(client.query_typed(SELECT, &columns).await?) }).await?;
        let mut rows = page.iter();
        // A page begins with the last row of the one before.
        if seen.number > 0 {
            let first = rows.next().map(read_row).transpose()?;
            let same = first.is_some_and(|first| first.mark() == seen);
            same.then_some(()).ok_or(Fault::Lost { row: seen.number })?;
        }
        for row in rows {
            let row = read_row(row)?;
            seen = row.mark();
            each(row);
        }
        if page.len() < usize::try_from(PAGE_ROWS).unwrap_or(usize::MAX) {
            return Ok(());
        }
        from = i64::try_from(seen.number).unwrap_or(i64::MAX);
    }
}

/// A row of which anything but its school cannot be read is one that does not open: it stops its
/// own school. The table takes no such row, but its owner may have altered it.
fn read_row(row: &Found) -> Result<Row<'_>, Fault> {
    let number: i64 = row.try_get(0)?;
    let number = u64::try_from(number).unwrap_or_default();
    let nobodys = Fault::Damaged(Damage {
        rows: 1,
        first: number,
    });
    let text = |column| std::str::from_utf8(row.try_get(column).ok()?).ok();
    let school = text(1).ok_or(nobodys)?;
    let (kind, day) = (text(2), row.try_get::<_, i32>(5));
    let lookup = row.try_get(3).ok();
    let lookup: Option<Lookup> = lookup.and_then(|lookup: &[u8]| lookup.try_into().ok());
    let is_read = kind.is_some() && lookup.is_some() && day.is_ok();
    let sealed = row.try_get(4).ok().filter(|_| is_read);
    Ok(Row {
        number,
        school,
        kind: kind.unwrap_or_default(),
        lookup: lookup.unwrap_or_default(),
        // Nothing opens nothing.
        sealed: sealed.unwrap_or_default(),
        day: u32::try_from(day.unwrap_or_default()).unwrap_or_default(),
    })
}
