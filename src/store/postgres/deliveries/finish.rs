//! Moving what is over from the queue into the log.

/// A statement that moves deliveries into the log, each with its body and story. `$done` makes the CTE `done`: it deletes
/// them from the queue, and has what the log is to say. `$rest` is what else is to be done with `done`.
///
/// Each delivery has a body. The join is a full one all the same, because that cannot be done but by hashing: the planner may
/// believe that there is only one of each, and would then compare all with all.
macro_rules! into_log {
    ($done:literal, $rest:literal) => {
        concat!(
            "WITH ",
            $done,
            ", moved AS (
                 DELETE FROM delivery_bodies WHERE delivery_seq = ANY(ARRAY(SELECT seq FROM done))
                 RETURNING delivery_seq AS seq, body, story
             ), logged AS (
                 INSERT INTO delivery_log (site_uuid, seq, id, subscription_id, partner_id, lead_id, action, changed_at,
                                           state, attempts, finished_at, body, story)
                 SELECT site_uuid, seq, id, subscription_id, partner_id, lead_id, action, changed_at,
                        state, attempts, finished_at, body,
                        CASE WHEN told IS NULL THEN story ELSE concat(story, told) END
                 FROM done FULL JOIN moved USING (seq)
             )",
            $rest
        )
    };
}
pub(super) use into_log;
