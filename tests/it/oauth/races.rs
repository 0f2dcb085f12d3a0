//! Many requests at once, on several threads (checklist 72, 86). Each race is run several times.

use futures_util::future::join_all;

use super::door::{Door, assert_refused, pair};
use crate::harness::Answer;
use crate::harness::engine::Engine;

/// How often each race is run.
const RACES: usize = 5;

/// Stamps cases over both engines and over two nodes on PostgreSQL. Client and gateway share the threads.
macro_rules! races {
    ($($case:ident),* $(,)?) => {
        races!(sqlite: Engine::Sqlite, 1; $($case),*);
        races!(postgres: Engine::Postgres, 1; $($case),*);
        races!(two_nodes_on_postgres: Engine::Postgres, 2; $($case),*);
    };
    ($name:ident: $engine:expr, $nodes:literal; $($case:ident),*) => {
        mod $name {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $case() {
                    $engine.run(async { super::$case(&doors($nodes).await).await }).await;
                }
            )*
        }
    };
}

races!(
    oauth_072_of_twenty_parallel_exchanges_one_wins,
    oauth_086_twenty_parallel_refreshes_lock_nobody_out,
    oauth_086_retries_beside_the_next_refresh_end_in_200_or_400_alone,
);

async fn doors(nodes: usize) -> Vec<Door> {
    let mut doors = vec![Door::open().await];
    while doors.len() < nodes {
        doors.push(doors[0].beside().await);
    }
    doors
}

/// Twenty of these at once, spread over the nodes.
async fn twenty<'a, F: Future<Output = Answer>>(doors: &'a [Door], request: impl Fn(&'a Door) -> F) -> Vec<Answer> {
    join_all((0..20).map(|n| request(&doors[n % doors.len()]))).await
}

async fn oauth_072_of_twenty_parallel_exchanges_one_wins(doors: &[Door]) {
    for _ in 0..RACES {
        let code = doors[0].code().await;
        let answers = twenty(doors, |door| door.redeem(&code)).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!((won.len(), lost.len()), (1, 19));
        lost.into_iter().for_each(|answer| assert_refused(answer, 400, "invalid_grant"));
        // Each of the others was a second use (line 71).
        let (access, _) = pair(won[0]);
        for door in doors {
            assert!(!door.opens(&access).await);
        }
    }
}

async fn oauth_086_twenty_parallel_refreshes_lock_nobody_out(doors: &[Door]) {
    for _ in 0..RACES {
        let (_, refresh) = doors[0].tokens().await;
        let pairs: Vec<_> = twenty(doors, |door| door.refresh(&refresh)).await.iter().map(pair).collect();
        for (n, (access, _)) in pairs.iter().enumerate() {
            assert!(doors[n % doors.len()].opens(access).await);
        }
        // Whichever pair the client kept, it goes on.
        let (access, _) = pair(&doors[0].refresh(&pairs[7].1).await);
        assert!(doors[0].opens(&access).await);
    }
}

async fn oauth_086_retries_beside_the_next_refresh_end_in_200_or_400_alone(doors: &[Door]) {
    let (_, first) = doors[0].tokens().await;
    let (_, second) = pair(&doors[0].refresh(&first).await);
    let either = |n: usize| if n < 10 { &second } else { &first };
    let answers = join_all((0..20).map(|n| doors[n % doors.len()].refresh(either(n)))).await;
    // A retry that comes after the next refresh is a replay; until then it is honoured.
    for answer in &answers {
        match answer.status {
            200 => {}
            _ => assert_refused(answer, 400, "invalid_grant"),
        }
    }
}
