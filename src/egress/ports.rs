//! Ports that no receiver of leads listens on, but other services do. A partner chooses host and port, and the gateway would
//! knock there with text that the partner has a say in: enough to do harm to what speaks in lines, and to tell from the
//! delivery log what runs where.

/// The ports that browsers refuse, too (Fetch standard, "port blocking").
const BLOCKED_BY_BROWSERS: &[u16] = &[
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
    111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532,
    540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061,
    6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Databases, queues, remote desktops, and the control of containers.
const OTHER_SERVICES: &[u16] = &[
    445,   // SMB
    1433,  // SQL Server
    1521,  // Oracle
    1883,  // MQTT
    2375,  // Docker
    2376,  // Docker
    2379,  // etcd
    2380,  // etcd
    3306,  // MySQL
    3389,  // remote desktop
    5432,  // PostgreSQL
    5672,  // AMQP
    5900,  // VNC
    6379,  // Redis
    9042,  // Cassandra
    9300,  // Elasticsearch
    10250, // Kubernetes
    11211, // memcached
    27017, // MongoDB
];

/// Whether a receiver may listen on this port.
pub fn is_for_receivers(port: u16) -> bool {
    !BLOCKED_BY_BROWSERS.contains(&port) && !OTHER_SERVICES.contains(&port)
}
