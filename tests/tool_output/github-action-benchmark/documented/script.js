window.BENCHMARK_DATA = {
  "lastUpdate": 1700000000000,
  "repoUrl": "https://github.com/example/project",
  "entries": {
    "Rust Benchmark": [
      {
        "commit": {"id": "1111111111111111111111111111111111111111", "message": "older"},
        "date": 1690000000000,
        "tool": "cargo",
        "benches": [{"name": "bench_fib_10", "value": 254, "range": "± 35", "unit": "ns/iter"}]
      },
      {
        "commit": {"id": "2222222222222222222222222222222222222222", "message": "newer"},
        "date": 1700000000000,
        "tool": "cargo",
        "benches": [
          {"name": "bench_fib_10", "value": 134, "range": "± 13", "unit": "ns/iter"},
          {"name": "bench_fib_20", "value": 18149, "range": "± 755", "unit": "ns/iter"}
        ]
      }
    ],
    "Size": [
      {
        "commit": {"id": "2222222222222222222222222222222222222222", "message": "newer"},
        "date": 1700000000000,
        "tool": "customSmallerIsBetter",
        "benches": [{"name": "binary", "value": 1.5, "unit": "MB"}]
      }
    ],
    "Speed": [
      {
        "commit": {"id": "2222222222222222222222222222222222222222", "message": "newer"},
        "date": 1700000000000,
        "tool": "customBiggerIsBetter",
        "benches": [{"name": "frames", "value": 61, "unit": "frames"}]
      }
    ],
    "Empty": []
  }
}
