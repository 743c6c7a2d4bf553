# Reports the time of `import project` to the file that the step names.
$ErrorActionPreference = "Stop"
$seconds = (Measure-Command { python -c "import project" }).TotalSeconds
$record = @{ name = "import_time"; value = $seconds; unit = "s"; better = "lower"; tags = @{ module = "project" } }
Add-Content -LiteralPath $env:BBMEASURE_FILE -Encoding UTF8 -Value (ConvertTo-Json $record -Compress)
