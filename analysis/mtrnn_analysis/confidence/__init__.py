"""How sure the agent says it is: is it right as often (`calibration`), does it know when it errs (`metacognition`)?"""
