//! News between nodes: what one commits, the others hear through LISTEN and NOTIFY, within moments. Polling is the net.
//!
//! A node tells itself before it answers its caller, and hears the others on a connection of its own. That there is work
//! is told after the commit, and not by each commit: PostgreSQL lets only one transaction with a NOTIFY commit at a time.
//! That a subscription was recalled must not get lost: it is told by its own transaction.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client, Connection, Row, Socket};
use tokio_util::sync::CancellationToken;

use super::dial::{Dial, Tls};
use super::locks::IN_USE;
use super::server::ANSWER;
use super::statements::{Db, Params, RowResult, params};
use crate::model::delivery::Space;
use crate::model::{LeaseToken, SubscriptionId};
use crate::store::{Result, Room, Signal, Signals};

/// Between two tellings that there is work.
const PACE: Duration = Duration::from_millis(20);

/// The newest change of any subscription, in milliseconds since 1970.
const NEWEST: &str = "SELECT coalesce(max(greatest(updated_at, removed_at)), 0) FROM subscriptions";

/// Subscriptions that changed at a time or later. A minute is allowed for clocks that differ.
const CHANGED: &str = "SELECT id FROM subscriptions WHERE greatest(updated_at, removed_at) >= $1::BIGINT - 60000";

/// Before another attempt to connect.
const AGAIN: Duration = Duration::from_millis(500);

/// What a node tells and hears.
pub(super) struct News {
    /// Tells our own notifications from those of others.
    node: String,
    signals: Arc<Signals>,
    /// How often there was work, and of how much of it the others know.
    work: AtomicU64,
    told: AtomicU64,
    wake: Notify,
    closing: CancellationToken,
}

impl News {
    pub(super) fn new(node: String, signals: Arc<Signals>) -> Self {
        let closing = CancellationToken::new();
        Self { node, signals, work: 0.into(), told: 0.into(), wake: Notify::new(), closing }
    }

    /// Writes what must not get lost into the transaction that caused it.
    pub(super) async fn write(&self, db: &Db, signals: &[Signal]) -> Result<()> {
        for signal in signals {
            if let Signal::Recalled(subscription) = signal {
                let news = format!("{} {subscription}", self.node);
                db.run("SELECT pg_notify('leadgate', $1)", params![news]).await?;
            }
        }
        Ok(())
    }

    /// Room in this process for a delivery to the subscription, with a body of so many bytes.
    pub(super) fn room(&self, subscription: SubscriptionId, bytes: usize) -> Option<Box<dyn Room>> {
        self.signals.room(subscription, bytes)
    }

    /// Whether this process has space for what falls due of the subscription.
    pub(super) fn space_for(&self, subscription: SubscriptionId) -> Space {
        self.signals.space_for(subscription)
    }

    /// Whether the lease is this process's own.
    pub(super) fn is_own(&self, lease: LeaseToken) -> bool {
        self.signals.is_own(lease)
    }

    /// Tells this process what was committed, and has the other nodes told.
    pub(super) fn tell(&self, signals: &[Signal]) {
        for signal in signals.iter().filter(|signal| **signal != Signal::WorkForOthers) {
            self.send(*signal);
        }
        if signals.iter().any(|signal| matches!(signal, Signal::Work | Signal::WorkForOthers)) {
            self.work.fetch_add(1, Ordering::Release);
            self.wake.notify_one();
        }
    }

    /// The store outlives a listener that panics.
    fn send(&self, signal: Signal) {
        if catch_unwind(AssertUnwindSafe(|| self.signals.send(signal))).is_err() {
            tracing::error!(?signal, "a listener panicked");
        }
    }

    fn hear(&self, news: &str) {
        match news.split_once(' ') {
            Some((node, _)) if node == self.node => {}
            Some((_, "work")) => self.send(Signal::Work),
            Some((_, id)) => match id.parse::<SubscriptionId>() {
                Ok(subscription) => self.send(Signal::Recalled(subscription)),
                Err(_) => tracing::debug!("news that this version does not understand"),
            },
            None => {}
        }
    }

    /// Tells and hears until [`News::close`], through reconnects.
    pub(super) async fn run(self: Arc<Self>, dial: Dial, mut line: Line) {
        loop {
            tokio::select! {
                () = self.closing.cancelled() => break,
                ended = self.hold(&mut line) => if let Err(error) = ended {
                    tracing::warn!(%error, "the line to the other nodes is cut; they are polled meanwhile");
                },
            }
            line = tokio::select! {
                () = self.closing.cancelled() => return,
                line = self.reconnect(&dial, line.newest) => line,
            };
            tracing::info!("the line to the other nodes stands again");
        }
        let last = self.tell_work(&line.client);
        tokio::select! {
            _ = listen(&mut line.connection, |_| {}) => {}
            told = tokio::time::timeout(ANSWER, last) => match told {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the other nodes were not told of the last work"),
                Err(_) => tracing::debug!("the other nodes were not told of the last work: the server does not answer"),
            },
        }
    }

    /// Connects again, and makes up for what may have been missed since: every subscription that changed after `newest`,
    /// and that there may be work.
    async fn reconnect(&self, dial: &Dial, newest: i64) -> Line {
        loop {
            let opened = async {
                let mut line = Line::open(dial).await?;
                // Refused only by a copy into a database that was empty when we lost it: nothing of ours is lost there.
                line.use_database().await?;
                let changed = line.ask(CHANGED, &[&newest]).await?;
                let recalled = changed.iter().map(|row| row.try_get(0)).collect::<RowResult<Vec<_>>>()?;
                recalled.into_iter().map(Signal::Recalled).chain([Signal::Work]).for_each(|signal| self.send(signal));
                RowResult::Ok(line)
            };
            match tokio::time::timeout(ANSWER, opened).await {
                Ok(Ok(line)) => return line,
                Ok(Err(error)) => tracing::debug!(%error, "the line to the other nodes is still cut"),
                Err(_) => tracing::debug!("the line to the other nodes is still cut: the server does not answer"),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn hold(&self, line: &mut Line) -> RowResult<()> {
        let Line { client, connection, .. } = line;
        tokio::select! {
            ended = listen(connection, |news| self.hear(news)) => ended,
            failed = self.speak(client) => failed,
        }
    }

    async fn speak(&self, client: &Client) -> RowResult<()> {
        loop {
            self.wake.notified().await;
            self.tell_work(client).await?;
            tokio::time::sleep(PACE).await;
        }
    }

    async fn tell_work(&self, client: &Client) -> RowResult<()> {
        let work = self.work.load(Ordering::Acquire);
        if work != self.told.load(Ordering::Acquire) {
            client.execute("SELECT pg_notify('leadgate', $1)", &[&format!("{} work", self.node)]).await?;
            // Only now: if this is cut off, it is told again.
            self.told.store(work, Ordering::Release);
        }
        Ok(())
    }

    /// Ends [`News::run`], once what is known is told.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }
}

/// A connection that listens.
pub(super) struct Line {
    client: Client,
    connection: Connection<Socket, Tls>,
    /// The newest change of any subscription when it was opened.
    newest: i64,
}

impl Line {
    /// Connects; when this returns, nothing that others tell is missed.
    pub(super) async fn open(dial: &Dial) -> RowResult<Self> {
        let (client, connection) = dial.connect().await?;
        let mut line = Self { client, connection, newest: 0 };
        // Losing news with the machine loses nothing: after a restart everybody looks.
        line.ask("SET synchronous_commit = off", &[]).await?;
        line.ask("LISTEN leadgate", &[]).await?;
        if let Some(row) = line.ask(NEWEST, &[]).await?.first() {
            line.newest = row.try_get(0)?;
        }
        Ok(line)
    }

    /// Keeps others from copying a gateway into this database for as long as the line stands. False if somebody does.
    pub(super) async fn use_database(&mut self) -> RowResult<bool> {
        let answer = self.ask("SELECT pg_try_advisory_lock_shared($1)", &[&IN_USE]).await?;
        answer.first().map_or(Ok(false), |row| row.try_get(0))
    }

    /// Runs a statement while nobody else drives the connection.
    async fn ask(&mut self, sql: &str, params: Params<'_>) -> RowResult<Vec<Row>> {
        let mut waiting = std::pin::pin!(self.client.query(sql, params));
        let answer = tokio::select! {
            biased;
            answer = &mut waiting => return answer,
            ended = listen(&mut self.connection, |_| {}) => ended,
        };
        // The connection has ended: so does the statement.
        answer?;
        waiting.await
    }
}

/// Drives the connection, and passes on what is heard.
async fn listen(connection: &mut Connection<Socket, Tls>, hear: impl Fn(&str)) -> RowResult<()> {
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(news) = message? {
            hear(news.payload());
        }
    }
    Ok(())
}
