@echo off
rem Reports two records to the file that the step names, and prints one.
>>"%BBMEASURE_FILE%" echo {"name":"link_time","value":12.5,"unit":"s","better":"lower"}
for %%F in (build\project.zip) do (
    >>"%BBMEASURE_FILE%" echo {"name":"archive","value":%%~zF,"unit":"bytes","tags":{"file":"%%~nxF"}}
)
echo ##bbmeasure {"name":"coverage","value":85,"unit":"%%"}
