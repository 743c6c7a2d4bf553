# Prints the size of the build result in bytes: one number on standard output is enough.
$ErrorActionPreference = "Stop"
(Get-Item build\project.zip).Length
