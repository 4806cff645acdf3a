//! PHP: the usual one, and HHVM.

use super::{Rule, Rules, rule};
use crate::{
    Framework::{Laravel, Symfony, WordPress},
    Runtime::{Hhvm, Php},
};

const fn php(name: &'static str, grade: u8) -> Rule {
    rule(name, Php, grade)
}

pub(super) const RULES: Rules = Rules {
    programs: &[
        php("php", 90),
        php("php-fpm", 90),
        php("php-cgi", 90),
        php("php-cli", 90),
        php("phpdbg", 90),
        php("lsphp", 90),
        php("lsphp8", 90),
        php("apache2-foreground", 90),
        php("frankenphp", 90),
        php("docker-php-entrypoint", 80),
        php("artisan", 90).of(Laravel),
        php("composer", 90),
        php("phpunit", 90),
        php("drush", 90),
        php("wp", 90).of(WordPress),
        php("wp-cli", 90).of(WordPress),
        php("occ", 90),
        rule("hhvm", Hhvm, 90),
    ],
    words: &[
        php("php", 90),
        php("laravel", 90).of(Laravel),
        php("lumen", 45).of(Laravel),
        php("symfony", 90).of(Symfony),
        php("wordpress", 90).of(WordPress),
        php("drupal", 90),
        php("joomla", 90),
        php("magento", 90),
        php("codeigniter", 90),
        php("cakephp", 90),
        php("yii", 80),
        php("frankenphp", 90),
        php("phpmyadmin", 90),
        rule("hhvm", Hhvm, 90),
    ],
    env: &[
        php("PHP_INI_SCAN_DIR", 80),
        php("PHP_MEMORY_LIMIT", 80),
        php("PHP_MAX_EXECUTION_TIME", 80),
        php("PHP_POST_MAX_SIZE", 80),
        php("PHP_UPLOAD_MAX_FILESIZE", 80),
        php("PHP_UPLOAD_LIMIT", 80),
        php("PHP_FPM_PM", 80),
        php("PHP_FPM_PM_MAX_CHILDREN", 80),
        php("COMPOSER_HOME", 70),
        php("COMPOSER_ALLOW_SUPERUSER", 70),
        php("WORDPRESS_DB_HOST", 80).of(WordPress),
        php("WORDPRESS_DB_NAME", 80).of(WordPress),
        php("WORDPRESS_DB_USER", 80).of(WordPress),
        php("WORDPRESS_DB_PASSWORD", 80).of(WordPress),
        php("LARAVEL_SAIL", 80).of(Laravel),
        php("OCTANE_SERVER", 80).of(Laravel),
    ],
    env_prefixes: &[
        php("LARAVEL_", 70).of(Laravel),
        php("OTEL_PHP_", 80),
        php("PHP_OPCACHE_", 80),
        php("SYMFONY_", 70).of(Symfony),
        php("WORDPRESS_", 70).of(WordPress),
    ],
    image_env: &[
        php("PHP_VERSION", 90),
        php("PHP_INI_DIR", 90),
        php("PHP_CFLAGS", 90),
        php("PHPIZE_DEPS", 90),
        php("PHP_EXTRA_CONFIGURE_ARGS", 90),
        php("LARAVEL_VERSION", 90).of(Laravel),
        php("WORDPRESS_VERSION", 90).of(WordPress),
        rule("HHVM_VERSION", Hhvm, 90),
    ],
    extensions: &[php("php", 90), php("phar", 90), php("phtml", 80)],
    frameworks: &[
        php("artisan", 90).of(Laravel),
        php("laravel", 90).of(Laravel),
        php("symfony", 90).of(Symfony),
        php("wordpress", 90).of(WordPress),
        php("wp", 90).of(WordPress),
    ],
};
