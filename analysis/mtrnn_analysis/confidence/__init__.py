"""How sure the agent says it is: is it right as often (`calibration`), and does it know when it errs (`metacognition`)?"""
