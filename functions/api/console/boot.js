// Before anything is drawn: the theme and the language that the reader chose last, so that nothing flashes. A classic script on
// purpose: modules run after the first paint.
(function boot() {
  var root = document.documentElement;
  var theme = null;
  var language = null;
  try {
    theme = localStorage.getItem('redial.theme');
    language = sessionStorage.getItem('redial.language') || localStorage.getItem('redial.language');
  } catch (forbidden) {
    // An iframe without storage: the browser's own settings decide.
  }
  if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
  language = language || (navigator.language || 'en').slice(0, 2);
  if (language === 'ar' || language === 'uz') root.lang = language;
  if (language === 'ar') root.dir = 'rtl';
})();
