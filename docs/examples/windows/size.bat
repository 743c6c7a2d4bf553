@echo off
rem Prints the size of the build result in bytes: one number on standard output is enough.
if not exist build\project.zip exit /b 1
for %%F in (build\project.zip) do echo %%~zF
