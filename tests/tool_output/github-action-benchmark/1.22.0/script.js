window.BENCHMARK_DATA = {
  "lastUpdate": 1795510105383,
  "repoUrl": "https://github.com/example/project",
  "entries": {
    "pytest-benchmark": [
      {
        "commit": {
          "id": "1111111111111111111111111111111111111111",
          "message": "older",
          "timestamp": "2026-01-02T03:04:05Z",
          "url": "https://github.com/example/project/commit/1111111111111111111111111111111111111111",
          "author": {
            "email": "dev@example.org",
            "name": "Dev",
            "username": "dev"
          },
          "committer": {
            "email": "dev@example.org",
            "name": "Dev",
            "username": "dev"
          }
        },
        "date": 1795510098644,
        "tool": "pytest",
        "benches": [
          {
            "name": "test_one.py::test_sum",
            "value": 7071135.36972161,
            "unit": "iter/sec",
            "range": "stddev: 8.295491128357886e-8",
            "extra": "mean: 141.42000509309582 nsec\nrounds: 5"
          }
        ]
      },
      {
        "commit": {
          "id": "2222222222222222222222222222222222222222",
          "message": "newer",
          "timestamp": "2026-01-02T03:04:05Z",
          "url": "https://github.com/example/project/commit/2222222222222222222222222222222222222222",
          "author": {
            "email": "dev@example.org",
            "name": "Dev",
            "username": "dev"
          },
          "committer": {
            "email": "dev@example.org",
            "name": "Dev",
            "username": "dev"
          }
        },
        "date": 1795510100746,
        "tool": "pytest",
        "benches": [
          {
            "name": "test_many.py::test_sorting[10]",
            "value": 3637119.365026588,
            "unit": "iter/sec",
            "range": "stddev: 1.144142519822271e-7",
            "extra": "mean: 274.94285989502845 nsec\nrounds: 7"
          },
          {
            "name": "test_many.py::test_sorting[1000]",
            "value": 194188.76233410128,
            "unit": "iter/sec",
            "range": "stddev: 0.000002478802042489377",
            "extra": "mean: 5.149628577783005 usec\nrounds: 7"
          },
          {
            "name": "test_many.py::test_hard_name[\\xe9, \"=\" and <b>]",
            "value": 18572401.488327023,
            "unit": "iter/sec",
            "range": "stddev: 2.1159007417280693e-9",
            "extra": "mean: 53.843333110611034 nsec\nrounds: 3"
          },
          {
            "name": "test_many.py::test_slow",
            "value": 90.87131873120428,
            "unit": "iter/sec",
            "range": "stddev: 0.0016004146399805428",
            "extra": "mean: 11.004572333301136 msec\nrounds: 3"
          }
        ]
      }
    ],
    "google-benchmark": [
      {
        "commit": {
          "id": "1111111111111111111111111111111111111111",
          "message": "older",
          "timestamp": "2026-01-02T03:04:05Z",
          "url": "https://github.com/example/project/commit/1111111111111111111111111111111111111111",
          "author": {
            "email": "dev@example.org",
            "name": "Dev",
            "username": "dev"
          },
          "committer": {
            "email": "dev@example.org",
            "name": "Dev",
            "username": "dev"
          }
        },
        "date": 1795510099768,
        "tool": "googlecpp",
        "benches": [
          {
            "name": "BM_Fill/64",
            "value": 2.9781611387707816,
            "unit": "ns/iter",
            "extra": "iterations: 911586\ncpu: 2.978382730757164 ns\nthreads: 1"
          }
        ]
      },
      {
        "commit": {
          "id": "2222222222222222222222222222222222222222",
          "message": "newer",
          "timestamp": "2026-01-02T03:04:05Z",
          "url": "https://github.com/example/project/commit/2222222222222222222222222222222222222222",
          "author": {
            "email": "dev@example.org",
            "name": "Dev",
            "username": "dev"
          },
          "committer": {
            "email": "dev@example.org",
            "name": "Dev",
            "username": "dev"
          }
        },
        "date": 1795510101863,
        "tool": "googlecpp",
        "benches": [
          {
            "name": "BM_Repeated/repeats:3_mean",
            "value": 4.758617894989021e-7,
            "unit": "ms/iter",
            "extra": "iterations: 3\ncpu: 2.746216043684171e-7 ms\nthreads: 1"
          },
          {
            "name": "BM_Repeated/repeats:3_median",
            "value": 3.41228147516467e-7,
            "unit": "ms/iter",
            "extra": "iterations: 3\ncpu: 2.735843281001319e-7 ms\nthreads: 1"
          },
          {
            "name": "BM_Repeated/repeats:3_stddev",
            "value": 2.920496863685431e-7,
            "unit": "ms/iter",
            "extra": "iterations: 3\ncpu: 1.84506287134999e-9 ms\nthreads: 1"
          },
          {
            "name": "BM_Repeated/repeats:3_cv",
            "value": 0.6137279622221421,
            "unit": "ms/iter",
            "extra": "iterations: 3\ncpu: 0.0067185641697539425 ms\nthreads: 1"
          }
        ]
      }
    ],
    "benchmark.js": [
      {
        "commit": {
          "id": "2222222222222222222222222222222222222222",
          "message": "newer",
          "timestamp": "2026-01-02T03:04:05Z",
          "url": "https://github.com/example/project/commit/2222222222222222222222222222222222222222",
          "author": {
            "email": "dev@example.org",
            "name": "Dev",
            "username": "dev"
          },
          "committer": {
            "email": "dev@example.org",
            "name": "Dev",
            "username": "dev"
          }
        },
        "date": 1795510103275,
        "tool": "benchmarkjs",
        "benches": [
          {
            "name": "fib(10)",
            "value": 553117,
            "range": "±10.48%",
            "unit": "ops/sec",
            "extra": "8 samples"
          },
          {
            "name": "fib(20)",
            "value": 4874,
            "range": "±7.38%",
            "unit": "ops/sec",
            "extra": "6 samples"
          },
          {
            "name": "é, \"x\" x <b>",
            "value": 3581400,
            "range": "±39.66%",
            "unit": "ops/sec",
            "extra": "8 samples"
          }
        ]
      }
    ],
    "smaller": [
      {
        "commit": {
          "id": "2222222222222222222222222222222222222222",
          "message": "newer",
          "timestamp": "2026-01-02T03:04:05Z",
          "url": "https://github.com/example/project/commit/2222222222222222222222222222222222222222",
          "author": {
            "email": "dev@example.org",
            "name": "Dev",
            "username": "dev"
          },
          "committer": {
            "email": "dev@example.org",
            "name": "Dev",
            "username": "dev"
          }
        },
        "date": 1795510104447,
        "tool": "customSmallerIsBetter",
        "benches": [
          {
            "name": "Memory",
            "value": 150,
            "unit": "Megabytes"
          },
          {
            "name": "é \"q\"",
            "value": 41653.5,
            "range": "± 122",
            "unit": "ns/iter",
            "extra": "first: 25\nsecond: 100"
          },
          {
            "name": "7",
            "value": 50,
            "range": "3",
            "unit": "Percent"
          },
          {
            "name": "depth",
            "value": -7,
            "unit": "levels {of it}"
          }
        ]
      }
    ],
    "bigger": [
      {
        "commit": {
          "id": "2222222222222222222222222222222222222222",
          "message": "newer",
          "timestamp": "2026-01-02T03:04:05Z",
          "url": "https://github.com/example/project/commit/2222222222222222222222222222222222222222",
          "author": {
            "email": "dev@example.org",
            "name": "Dev",
            "username": "dev"
          },
          "committer": {
            "email": "dev@example.org",
            "name": "Dev",
            "username": "dev"
          }
        },
        "date": 1795510105344,
        "tool": "customBiggerIsBetter",
        "benches": [
          {
            "name": "requests",
            "value": 70,
            "unit": "req/s"
          },
          {
            "name": "free memory",
            "value": 1.5,
            "unit": "MB"
          }
        ]
      }
    ]
  }
}