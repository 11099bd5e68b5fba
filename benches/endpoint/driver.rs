//! Sends one request over and over on many connections, and notes how long each answer takes.

use std::{
    fmt,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What came of it.
pub(crate) struct Measured {
    pub(crate) requests_per_second: f64,
    /// Sorted.
    latencies: Vec<Duration>,
}

impl Measured {
    fn percentile(&self, percent: f64) -> Duration {
        let last = self.latencies.len() - 1;
        self.latencies[((last as f64) * percent / 100.0).round() as usize]
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:>10.0}", self.requests_per_second)?;
        for percent in [50.0, 90.0, 99.0, 99.9] {
            let micros = self.percentile(percent).as_micros() as f64;
            write!(formatter, " {:>6.2} ms", micros / 1000.0)?;
        }
        Ok(())
    }
}

/// Drives a server for this long. Every answer must be 200.
pub(crate) fn drive(address: &str, request: &[u8], connections: usize, time: Duration) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let warm_until = Instant::now() + time / 5;
        let until = warm_until + time;
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let (address, request) = (address.to_owned(), request.to_vec());
                tokio::task::spawn(async move { connection(&address, &request, warm_until, until).await })
            })
            .collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await.unwrap());
        }
        latencies.sort_unstable();
        Measured { requests_per_second: latencies.len() as f64 / time.as_secs_f64(), latencies }
    })
}

async fn connection(address: &str, request: &[u8], warm_until: Instant, until: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut latencies, mut answer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let start = Instant::now();
        if start >= until {
            return latencies;
        }
        stream.write_all(request).await.unwrap();
        let stays_open = read_answer(&mut stream, &mut answer).await;
        if start >= warm_until {
            latencies.push(start.elapsed());
        }
        if !stays_open {
            stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
        }
    }
}

/// Reads one answer; whether the connection stays open.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> bool {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "the server closed in the middle of an answer");
        filled += read;
        let Some(head) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(&buffer[..head]).unwrap().to_ascii_lowercase();
        let status = text.split(' ').nth(1).unwrap_or_default().to_owned();
        assert_eq!(status, "200", "{}", String::from_utf8_lossy(&buffer[..filled]));
        let length: usize = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map(|length| length.trim().parse().unwrap())
            .expect("an answer says how long it is");
        if filled >= head + 4 + length {
            return !text.contains("connection: close") && !text.starts_with("http/1.0");
        }
    }
}
