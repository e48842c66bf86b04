//! Every minute: sends what is due, repairs what a crash left, rolls up; takes in dead letters.
